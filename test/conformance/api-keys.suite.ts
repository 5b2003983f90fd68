import { describe, expect, test } from 'vitest';
import { type ApiKey, gateOfKey } from '../../schemas/api-key.ts';
import type { AuditEntry } from '../../sidecar/counters/api-keys.ts';
import { type CounterStore, CountersUnavailable } from '../../sidecar/counters/contract.ts';
import { ApiKeyBench, DAY_MS } from './api-keys-bench.ts';
import { describeApiKeyFaults } from './api-keys-faults.suite.ts';
import { limit, type OpenStore, Workbench } from './workbench.ts';

const ODD = 'a "tenant_id":"b" {p0}:%\\ \u0001 café 😀\n';

interface Traits {
  scripts: boolean;
  settableClock: boolean;
}

export function describeApiKeys(bench: () => Workbench, open: OpenStore, traits: Traits): void {
  const on = () => new ApiKeyBench(bench());
  const taken = async (id: string, store = bench().store) => {
    const event = { tenant_id: bench().tenant };
    const request = { decisionId: bench().newId(), plan: { limits: [], candidates: [], raw_counters: true }, event };
    return (await store.take({ ...request, fingerprint: '', keyGate: gateOfKey(id) })).kind;
  };

  describe('C18 a change of API keys', () => {
    test('is kept with all that was said, with its audit event, whatever the names', async () => {
      const keys = on();
      const told: object[] = [];
      for (const [n, tenant] of ['__proto__', 'constructor', 'a:{b}', 'a%3A{b}', '{p0}', ODD].entries()) {
        const all = { name: ODD, team_id: ODD, user_id: '__proto__', created_by: ODD, expires_at: 2 ** 53 - 1 };
        const first = keys.key(`first${n}`, { tenant_id: tenant, ...all });
        const second = keys.key(`second${n}`, { tenant_id: tenant, rotated_from: first.id, revoked_at: 0 });
        const audit = { ...keys.audit(`audit of ${tenant}`), source_ip: '::1', target: first.id, reason: ODD };
        expect(await keys.change([first, second], { tenantId: tenant, audit })).toBe('changed');
        for (const key of [first, second]) expect(await bench().store.apiKey(key.id)).toEqual(key);
        expect(await bench().store.apiKeys({ tenantId: tenant, limit: 10 })).toEqual({
          keys: [first, second],
          next: undefined,
        });
        const at = expect.any(Number);
        told.push({ ...audit, v: 1, type: 'audit', tenant_id: tenant, api_keys: [first, second], at });
      }
      const events = await bench().audits();
      expect(events).toHaveLength(told.length);
      expect(events).toEqual(expect.arrayContaining(told));
      expect(await bench().store.apiKeys({ tenantId: 'b', limit: 10 })).toEqual({ keys: [], next: undefined });
    });

    test('by two at once is made by one of them, once, with one event', async () => {
      const keys = on();
      const first = await keys.issued('first');
      const ends = Array.from({ length: 10 }, (_, n) => ({ ...first, revision: 2, expires_at: 1_000 + n }));
      const results = await Promise.all(ends.map((key) => keys.change([key])));
      expect(results.filter((result) => result === 'changed')).toHaveLength(1);
      expect(results.filter((result) => result === 'stale')).toHaveLength(9);
      expect(await bench().store.apiKey(first.id)).toEqual(ends[results.indexOf('changed')]);
      expect(await bench().audits()).toHaveLength(2);
    });

    test('from another state than the one that is kept changes nothing, also not the keys beside it', async () => {
      const keys = on();
      const first = await keys.issued('first');
      const second = { ...first, revision: 2, name: 'second' };
      expect(await keys.change([second])).toBe('changed');
      const fresh = keys.key('fresh');
      for (const revision of [1, 2, 4]) {
        const result = keys.change([fresh, { ...first, revision }], { closeGates: [gateOfKey(first.id)] });
        expect(await result).toBe('stale');
        expect(await keys.change([{ ...first, revision }, fresh])).toBe('stale');
      }
      expect(await keys.change([{ ...fresh, revision: 2 }])).toBe('stale');
      expect(await bench().store.apiKey(first.id)).toEqual(second);
      expect(await bench().store.apiKey(fresh.id)).toBeUndefined();
      expect(await taken(first.id)).toBe('taken');
      expect(await bench().audits()).toHaveLength(2);
    });

    test('closes gates in the same step: from then on nothing is taken with the key', async () => {
      const keys = on();
      const [first, second, third] = [await keys.issued('1st'), await keys.issued('2nd'), await keys.issued('3rd')];
      expect(await taken(first.id)).toBe('taken');
      const revoked = [first, second].map((key) => ({ ...key, revision: 2, revoked_at: 5 }));
      expect(await keys.change(revoked, { closeGates: [gateOfKey(first.id), gateOfKey(second.id)] })).toBe('changed');
      expect(await taken(first.id)).toBe('closed');
      expect(await taken(second.id)).toBe('closed');
      expect(await taken(third.id)).toBe('taken');
      const other = { event: { tenant_id: `${bench().tenant} other` }, keyGate: gateOfKey(first.id) };
      expect((await bench().take(limit(), other)).kind).toBe('taken');
    });

    test('that no store may be asked for is refused, and leaves nothing', async () => {
      const keys = on();
      const fine = keys.key('fine');
      const elsewhere = keys.key('elsewhere', {}, keys.partition + 1);
      const refused = (given: ApiKey[], what = {}) =>
        expect(keys.change([fine, ...given], { closeGates: [gateOfKey(fine.id)], ...what })).rejects;
      await refused([elsewhere]).toThrow(/k\d+_elsewhere000 is of partition \d+, and its tenant of \d+/);
      await refused([{ ...keys.key('padded'), id: fine.id.replace('k', 'k0') }]).toThrow(CountersUnavailable);
      await refused([keys.key('other', { tenant_id: `${bench().tenant}` }), fine]).toThrow('twice');
      await refused([], { tenantId: 'another' }).toThrow(CountersUnavailable);
      await refused([{ ...keys.key('digest'), digest: 'the key itself' }]).toThrow('api_keys.1.digest');
      await refused([{ ...keys.key('end'), expires_at: 0.5 }]).toThrow(CountersUnavailable);
      await refused([keys.key('zero', { revision: 0 })]).toThrow(CountersUnavailable);
      await refused([keys.key('nul', { name: 'a\u0000b' })]).toThrow('NUL');
      await refused([], { audit: { ...keys.audit('reason'), reason: 'a\u0000b' } }).toThrow('NUL');
      expect(await bench().store.apiKey(fine.id)).toBeUndefined();
      expect(await taken(fine.id)).toBe('taken');
      expect(await bench().audits()).toEqual([]);
    });
  });

  describe('C18 API keys are found', () => {
    test('by their id; there is none by any other text', async () => {
      const keys = on();
      const { id } = await keys.issued('first');
      for (const other of [
        id.toLowerCase().replace('k', 'K'),
        `${id}0`,
        `0${id}`,
        '',
        '@published',
        'k99_000000000000',
      ]) {
        expect(await bench().store.apiKey(other)).toBeUndefined();
      }
      expect(await bench().store.apiKey(keys.key('other').id)).toBeUndefined();
    });

    test('page by page in the order of their ids, of one tenant or of all', async () => {
      const keys = on();
      // On a cluster in partitions 10 and 9: the ids of 10 are before those of 9.
      const tenantIn = (partition: number) =>
        Array.from({ length: 2_000 }, (_, n) => `t${n}`).find((name) => bench().store.partitionOf(name) === partition);
      const [other, third] = [tenantIn(10) ?? 'other', tenantIn(9) ?? 'third'];
      const mine = await Promise.all(['b', 'd', 'F', '1', 'z', 'Z', 'm'].map((name) => keys.issued(name)));
      const theirs = await Promise.all(['a', 'e', 'y'].map((name) => keys.issued(name, { tenant_id: other })));
      const last = await Promise.all(['x', 'w'].map((name) => keys.issued(name, { tenant_id: third })));
      const others = [...theirs, ...last];
      const sorted = (some: ApiKey[]) => some.map(({ id }) => id).sort();
      const pages = (request: object) => keys.pages({ limit: 3, ...request });
      const own = sorted(mine);
      const tenantId = bench().tenant;
      expect(await pages({ tenantId })).toEqual([own.slice(0, 3), own.slice(3, 6), own.slice(6)]);
      expect(await pages({ tenantId, limit: 7 })).toEqual([own]);
      expect(await pages({ tenantId, limit: 0 })).toEqual(own.map((id) => [id]));
      expect(await pages({ tenantId, after: own[1] })).toEqual([own.slice(2, 5), own.slice(5)]);
      expect(await pages({ tenantId: other })).toEqual([sorted(theirs)]);
      expect(await pages({ tenantId: 'nobody' })).toEqual([[]]);
      expect((await pages({})).flat()).toEqual(sorted([...mine, ...others]));
      expect((await pages({ limit: 1 })).flat()).toEqual(sorted([...mine, ...others]));
      expect(await pages({ after: '~' })).toEqual([[]]);
    });

    test('also where there are more than are looked at in one step, or told at once', async () => {
      const keys = on();
      const many = Array.from({ length: 1_500 }, (_, n) => keys.key(String(n).padStart(12, '0')));
      await bench().store.publishApiKeys({ partition: keys.partition, keys: many, complete: true });
      const pages = await keys.pages({ tenantId: bench().tenant, limit: 5_000 });
      expect(pages.map(({ length }) => length)).toEqual([1_000, 500]);
      expect(pages.flat()).toEqual(many.map(({ id }) => id).sort());
      const uses = new Map(many.map(({ id }, n) => [id, n]));
      await bench().store.noteApiKeysUsed(uses);
      expect(await bench().store.apiKeysLastUsed([...uses.keys()])).toEqual(uses);
    });

    test('with when they were last used, which never goes back', async () => {
      const keys = on();
      const tenant_id = `${bench().tenant} other`;
      const [first, second, theirs] = [
        await keys.issued('1'),
        await keys.issued('2'),
        await keys.issued('3', { tenant_id }),
      ];
      const unknown = [keys.key('unknown').id, 'nothing', '@published', 'k99_000000000000', '__proto__'];
      const note = (...uses: [string, number][]) => bench().store.noteApiKeysUsed(new Map(uses));
      const lastUsed = async () => [
        ...(await bench().store.apiKeysLastUsed([first, second, theirs].map(({ id }) => id).concat(unknown))),
      ];
      expect(await lastUsed()).toEqual([]);
      await note([first.id, 1_000], [theirs.id, 2 ** 53 - 1], ...unknown.map((id) => [id, 1] as [string, number]));
      await note([first.id, 999], [second.id, 0]);
      await note();
      expect(new Map(await lastUsed())).toEqual(
        new Map([
          [first.id, 1_000],
          [second.id, 0],
          [theirs.id, 2 ** 53 - 1],
        ]),
      );
      await Promise.all([1_003, 1_005, 1_004].map((at) => note([first.id, at])));
      expect((await lastUsed())[0]).toEqual([first.id, 1_005]);
      await expect(note([second.id, 7], [first.id, 0.5])).rejects.toThrow(CountersUnavailable);
      expect(await bench().store.apiKeysLastUsed([])).toEqual(new Map());
      expect(await bench().store.apiKeysLastUsed([second.id])).toEqual(new Map([[second.id, 0]]));
    });
  });

  describe('C18 the keys of the ledger', () => {
    const missing = async (store: CounterStore, partition: number) =>
      (await store.partitionsWithoutApiKeys()).includes(partition);

    test('are put where there are none, or older states, and never over newer ones', async () => {
      const keys = on();
      const { partition } = keys;
      const { store } = bench();
      const publish = (...given: ApiKey[]) => store.publishApiKeys({ partition, keys: given, complete: false });
      const newest = { ...(await keys.issued('newest')), revision: 2 };
      expect(await keys.change([newest])).toBe('changed');
      const older = await keys.issued('older');
      const none = keys.key('none', { revision: 7 });
      await publish({ ...newest, revision: 1, name: 'old' }, { ...older, revision: 9, name: 'new' }, none);
      await publish({ ...newest, name: 'the same revision' }, { ...none, revision: 6 });
      expect(await store.apiKey(newest.id)).toEqual(newest);
      expect(await store.apiKey(older.id)).toEqual({ ...older, revision: 9, name: 'new' });
      expect(await store.apiKey(none.id)).toEqual(none);
      expect(await keys.change([{ ...none, revision: 8 }])).toBe('changed');
      expect(await bench().audits()).toHaveLength(4);
    });

    test('close the gates of those that are revoked, also where their state is not news', async () => {
      const keys = on();
      const { partition } = keys;
      const [live, kept] = [keys.key('live'), await keys.issued('kept', { revoked_at: 5 })];
      const revoked = keys.key('revoked', { revoked_at: 5 });
      expect(await taken(kept.id)).toBe('taken');
      await bench().store.publishApiKeys({ partition, keys: [live, revoked, kept], complete: false });
      expect(await Promise.all([live, revoked, kept].map(({ id }) => taken(id)))).toEqual([
        'taken',
        'closed',
        'closed',
      ]);
    });

    test('are there once the last ones were put there, and then everybody knows', async () => {
      const keys = on();
      const { partition } = keys;
      const { store } = bench();
      expect(await store.partitionsWithoutApiKeys()).toContain(partition);
      const others = (await store.partitionsWithoutApiKeys()).length - 1;
      await keys.issued('first');
      await store.publishApiKeys({ partition, keys: [keys.key('second')], complete: false });
      expect(await missing(store, partition)).toBe(true);
      await store.publishApiKeys({ partition, keys: [], complete: true });
      expect(await missing(store, partition)).toBe(false);
      expect(await store.partitionsWithoutApiKeys()).toHaveLength(others);
      await store.publishApiKeys({ partition, keys: [keys.key('third')], complete: false });
      expect(await missing(store, partition)).toBe(false);
      expect((await keys.pages({ limit: 10 })).flat()).toHaveLength(3);
    });

    test('of another partition are refused', async () => {
      const keys = on();
      const there = keys.partition + 1;
      const publish = (partition: number, key: ApiKey) =>
        expect(bench().store.publishApiKeys({ partition, keys: [keys.key('fine'), key], complete: true })).rejects;
      await publish(keys.partition, keys.key('elsewhere', {}, there)).toThrow(/is of partition/);
      await publish(keys.partition, keys.key('fine')).toThrow('twice');
      await publish(keys.partition, { ...keys.key('digest'), digest: '' }).toThrow('digest');
      await publish(there, keys.key('here')).toThrow(/partition/);
      await publish(99, keys.key('nowhere')).toThrow(/partition/);
      expect((await keys.pages({ limit: 10 })).flat()).toEqual([]);
      expect(await missing(bench().store, keys.partition)).toBe(true);
    });
  });

  test('C18 API keys are known to another sidecar, or to the same one started again', async () => {
    const keys = on();
    const { partition } = keys;
    const first = await keys.issued('first');
    const revoked = { ...first, revision: 2, revoked_at: 5 };
    expect(await keys.change([revoked], { closeGates: [gateOfKey(first.id)] })).toBe('changed');
    const second = await keys.issued('second');
    await bench().store.noteApiKeysUsed(new Map([[second.id, 77]]));
    await bench().store.publishApiKeys({ partition, keys: [], complete: true });
    const another = await bench().another();
    expect(await another.apiKey(first.id)).toEqual(revoked);
    expect(await another.apiKey(second.id)).toEqual(second);
    expect(await another.apiKeysLastUsed([first.id, second.id])).toEqual(new Map([[second.id, 77]]));
    expect(await another.partitionsWithoutApiKeys()).not.toContain(partition);
    expect(await taken(first.id, another)).toBe('closed');
    expect(await taken(second.id, another)).toBe('taken');
    expect(await keys.change([{ ...second, revision: 2 }], {}, another)).toBe('changed');
    expect(await keys.change([{ ...second, revision: 2 }], {}, another)).toBe('stale');
  });

  describe('C18 no more API keys are kept than there may be', () => {
    const withRoomFor3 = async (work: (keys: ApiKeyBench, narrow: Workbench) => Promise<void>) => {
      const narrow = new Workbench(await open({ maxApiKeys: 3 }));
      try {
        await work(new ApiKeyBench(narrow), narrow);
      } finally {
        await narrow.close();
      }
    };

    test('one too many is refused with all beside it, what is there can be changed', () =>
      withRoomFor3(async (keys, narrow) => {
        const first = await keys.issued('first');
        await keys.issued('second');
        await narrow.store.publishApiKeys({ partition: keys.partition, keys: [], complete: true });
        const [third, fourth] = [keys.key('third'), keys.key('fourth')];
        const rotated = { ...first, revision: 2, rotated_to: third.id };
        expect(await keys.change([rotated, third, fourth])).toBe('full');
        expect(await narrow.store.apiKey(first.id)).toEqual(first);
        expect(await keys.change([rotated, third])).toBe('changed');
        expect(await keys.change([fourth])).toBe('full');
        expect(await keys.change([{ ...rotated, revision: 3 }])).toBe('changed');
        expect(await keys.change([{ ...rotated, revision: 3 }, fourth])).toBe('stale');
        expect((await keys.pages({ limit: 10 })).flat()).toHaveLength(3);
        expect(await narrow.audits()).toHaveLength(4);
      }));

    test('there is room again for what is over for long, and nothing else goes', () =>
      withRoomFor3(async (keys, narrow) => {
        const far = Date.UTC(2200, 0);
        const live = await keys.issued('live', { expires_at: far });
        const revoked = await keys.issued('revoked', { revoked_at: 1_000, expires_at: far });
        const expired = await keys.issued('expired', { expires_at: 1_000 });
        await narrow.store.noteApiKeysUsed(new Map([live, revoked, expired].map(({ id }) => [id, 7])));
        expect(await keys.change([{ ...revoked, revision: 2 }])).toBe('changed');
        const added = [await keys.issued('4th'), await keys.issued('5th')];
        expect(await keys.change([keys.key('6th')])).toBe('full');
        expect((await keys.pages({ limit: 10 })).flat()).toEqual([...added, live].map(({ id }) => id).sort());
        expect(await narrow.store.apiKeysLastUsed([live, revoked, expired].map(({ id }) => id))).toEqual(
          new Map([[live.id, 7]]),
        );
        expect(await narrow.store.partitionsWithoutApiKeys()).toContain(keys.partition);
      }));

    test('also where more are over than are looked at in one step', () =>
      withRoomFor3(async (keys, narrow) => {
        const over = Array.from({ length: 1_500 }, (_, n) => keys.key(String(n).padStart(12, '0'), { expires_at: n }));
        await narrow.store.publishApiKeys({ partition: keys.partition, keys: over, complete: false });
        const { id } = await keys.issued('new');
        expect(await keys.pages({ limit: 10 })).toEqual([[id]]);
      }));

    if (!traits.settableClock) return;

    test('that is, for a day by the store’s clock', () =>
      withRoomFor3(async (keys, narrow) => {
        const now = narrow.clock.now();
        await keys.issued('revoked', { revoked_at: now + 1_000 });
        await keys.issued('expired', { expires_at: now + 2_000 });
        await keys.issued('live');
        await narrow.advance(DAY_MS + 999);
        expect(await keys.change([keys.key('4th')])).toBe('full');
        await narrow.advance(1);
        expect(await keys.change([keys.key('4th')])).toBe('changed');
        await narrow.advance(999);
        expect(await keys.change([keys.key('5th')])).toBe('full');
        await narrow.advance(1);
        expect(await keys.change([keys.key('5th')])).toBe('changed');
        const times = (await narrow.audits()).map(({ at }) => at - now);
        expect(times).toEqual([0, 0, 0, DAY_MS + 1_000, DAY_MS + 2_000]);
      }));
  });

  describe('C18 an audit event', () => {
    test('is in the stream of its tenant, or in the first one, as it was given', async () => {
      const entry: AuditEntry = { id: ODD, action: 'config.refused', actor: 'sidecar:a', target: ODD, reason: ODD };
      await bench().store.audit(entry);
      await bench().store.audit({ ...entry, id: 'of a tenant', tenant_id: '__proto__', source_ip: '192.0.2.1' });
      await bench().store.audit(entry);
      const events = await bench().audits();
      const told = (given: object) => ({ v: 1, type: 'audit', ...entry, ...given, at: expect.any(Number) });
      const ofTenant = told({ id: 'of a tenant', tenant_id: '__proto__', source_ip: '192.0.2.1' });
      expect(events.filter(({ id }) => id === ODD)).toEqual([told({}), told({})]);
      expect(events.filter(({ id }) => id !== ODD)).toEqual([ofTenant]);
    });

    test('that the ledger could not keep is refused', async () => {
      const entry: AuditEntry = { id: 'id', action: 'config.loaded', actor: 'sidecar:a' };
      const wrong = [{ id: '' }, { actor: '' }, { reason: 'a\u0000b' }, { action: 'key.guessed' as 'key.issued' }];
      for (const given of wrong) {
        await expect(bench().store.audit({ ...entry, ...given })).rejects.toThrow(CountersUnavailable);
      }
      expect(await bench().audits()).toEqual([]);
    });
  });

  // Once on each server: the time that the servers’ own clocks tell is nothing to these.
  if (traits.scripts && traits.settableClock) describeApiKeyFaults(bench);
}
