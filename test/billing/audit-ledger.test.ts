import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sql } from 'postgres';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { type Committed, Ledger } from '../../billing-worker/ledger/ledger.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { apiKey, auditEvent, keyEvent } from './audit-events.ts';
import { SOME_DATABASES } from './databases.ts';
import { chunks, shuffled, streamEntry, usageEvent } from './events.ts';
import { tenants } from './tenants.ts';

describe.each(SOME_DATABASES)('the audit on $name', ({ open }) => {
  let sql: Sql;
  let commits: Committed[];
  let rows: number;
  const ledger = () =>
    new Ledger({
      sql,
      terms: { tenants, calendar: new Calendar() },
      onCommit: (committed, given) => {
        commits.push(committed);
        rows += given.length;
      },
    });
  const audited = () => commits.reduce((sum, { events }) => sum + (events.audit ?? 0), 0);

  beforeAll(async () => {
    ({ sql } = await open());
  });

  beforeEach(async () => {
    commits = [];
    rows = 0;
    await sql`truncate usage_events, usage_rollups, dead_letters, api_keys`;
  });

  test('a row holds what its event says, and never a digest', async () => {
    const key = apiKey({
      id: 'k0_abcdefghijkl',
      revision: 7,
      name: 'CI',
      tenant_id: 'globex',
      team_id: 'data',
      user_id: 'alice',
      created_by: 'admin',
      expires_at: Date.parse('2026-02-01T00:00:00.001Z'),
      rotated_from: 'k0_000000000000',
      rotated_to: 'k0_111111111111',
      revoked_at: Date.parse('2026-01-16T00:00:00.002Z'),
    });
    const event = keyEvent(key, {
      action: 'key.revoked',
      source_ip: '192.0.2.7',
      reason: 'it was in a chat',
      at: 1e12,
    });
    const entry = streamEntry(event);
    await ledger().append([entry]);
    const [found = {}] = await sql`select *, api_keys::text as api_keys from audit_events where id = ${event.id}`;
    const { api_keys, recorded_at, ...row } = found as Record<string, string>;
    const { digest, ...shown } = key;
    const { api_keys: _, type: __, v: ___, ...same } = event;
    expect(row).toEqual({ ...same, at: '2001-09-09 01:46:40+00', stream_id: entry.id });
    expect(JSON.parse(api_keys as string)).toEqual([shown]);
    expect(JSON.stringify(found)).not.toContain(digest);
    expect(Math.abs(Date.parse(recorded_at as string) - Date.now())).toBeLessThan(60_000);
    const { v: ____, ...kept } = key;
    const [state = {}] = await sql`select * from api_keys`;
    const { updated_at, ...columns } = state as Record<string, string>;
    expect(columns).toEqual({
      ...kept,
      partition: 0,
      revision: '7',
      created_at: '2026-01-15 12:00:00+00',
      expires_at: '2026-02-01 00:00:00.001+00',
      revoked_at: '2026-01-16 00:00:00.002+00',
    });
    expect(Math.abs(Date.parse(updated_at as string) - Date.now())).toBeLessThan(60_000);
  });

  test('1,000 events among usage, delivered three times over by two workers, are 1,000 rows', async () => {
    const run = randomUUID();
    const events = Array.from({ length: 1_000 }, (_, i) => keyEvent(apiKey(), { id: `${run}:${i}` }));
    const entries = [...events.map(streamEntry), ...Array.from({ length: 500 }, () => streamEntry(usageEvent()))];
    for (const batch of chunks(shuffled([...entries, ...entries, ...entries], 5), 450)) {
      await Promise.all([ledger().append(batch), ledger().append([...batch].reverse())]);
    }
    expect(await sql`select count(*)::int as n from audit_events where id like ${`${run}:%`}`).toEqual([{ n: 1_000 }]);
    expect(await sql`select count(*)::int as n from usage_events`).toEqual([{ n: 500 }]);
    expect(await sql`select count(*)::int as n from api_keys`).toEqual([{ n: 1_000 }]);
    expect(audited()).toBe(1_000);
    // Whoever follows the budgets hears of usage alone.
    expect(rows).toBe(2 * 3 * 500);
  });

  describe('of the states of a key the latest is kept', () => {
    const first = apiKey({ id: 'k0_statesstates', name: 'first' });
    const second = { ...first, revision: 2, expires_at: first.created_at + 1 };
    const third = { ...second, revision: 3, revoked_at: first.created_at + 2 };
    const events = [first, second, third].map((key) => keyEvent(key));
    const orders = [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
      [1, 0, 2],
    ];

    test.each(orders)('in the order %i, %i, %i, in one batch and in three', async (...order) => {
      const entries = order.map((index) => streamEntry(events[index]));
      await ledger().append(entries);
      const kept = () =>
        sql`select revision::int, revoked_at is not null as revoked from api_keys where id = ${first.id}`;
      expect(await kept()).toEqual([{ revision: 3, revoked: true }]);
      await sql`truncate api_keys`;
      for (const entry of entries) await ledger().append([entry]);
      expect(await kept()).toEqual([{ revision: 3, revoked: true }]);
    });

    test('of one rotation both keys', async () => {
      const [from, to] = [apiKey(), apiKey({ id: 'k7_tototototo12' })];
      const rotation = auditEvent({
        action: 'key.rotated',
        tenant_id: 'acme',
        target: from.id,
        api_keys: [
          { ...from, revision: 2, rotated_to: to.id },
          { ...to, rotated_from: from.id },
        ],
      });
      await ledger().append([streamEntry(keyEvent(from)), streamEntry(rotation)]);
      expect(
        await sql`select partition, revision::int, rotated_to, rotated_from from api_keys order by partition`,
      ).toEqual([
        { partition: 0, revision: 2, rotated_to: to.id, rotated_from: null },
        { partition: 7, revision: 1, rotated_to: null, rotated_from: from.id },
      ]);
    });
  });

  describe('what cannot become a row', () => {
    const text = (change: object) => JSON.stringify({ ...auditEvent(), ...change });
    const key = apiKey();
    const POISON: [name: string, text: string, reason: RegExp][] = [
      ['an action that nobody knows', text({ action: 'key.sold' }), /→ at action/],
      ['no actor', text({ actor: undefined }), /→ at actor/],
      ['a newer version', text({ v: 2 }), /version 2 is newer than 1/],
      ['a NUL', text({ reason: 'a\u0000b' }), /must not contain NUL/],
      ['no digest', text({ api_keys: [{ ...key, digest: undefined }] }), /→ at api_keys\[0\].digest/],
      ['an id that is no key’s', text({ api_keys: [{ ...key, id: 'k0_x' }] }), /→ at api_keys\[0\].id/],
      ['a key of a newer version', text({ api_keys: [{ ...key, v: 2 }] }), /→ at api_keys\[0\].v/],
      ['an instant that no calendar has', text({ at: Number.MAX_SAFE_INTEGER }), /before the year 10000/],
      ['a key that never ends', text({ api_keys: [{ ...key, expires_at: 2 ** 53 - 1 }] }), /before the year 10000/],
      ['a lone surrogate, which only PostgreSQL refuses', text({ reason: '\ud800' }), /surrogate/i],
      ['one in the name of a key', text({ api_keys: [{ ...key, name: '\ud800' }] }), /surrogate/i],
      ['a target too long for an index', text({ target: randomBytesText(9_000) }), /index row/],
    ];

    test.each(POISON)('%s is put aside with its reason, and the rest goes on', async (_, poison, reason) => {
      const good = Array.from({ length: 5 }, () => keyEvent(apiKey()));
      const usage = Array.from({ length: 4 }, () => streamEntry(usageEvent()));
      const batch = [
        ...good.slice(0, 3).map(streamEntry),
        streamEntry(poison),
        ...usage,
        ...good.slice(3).map(streamEntry),
      ];
      for (let delivered = 0; delivered < 2; delivered++) await ledger().append(batch);
      const letters = await sql`select raw, reason from dead_letters`;
      expect(letters).toEqual([{ raw: poison, reason: expect.stringMatching(reason) }]);
      expect(await sql`select count(*)::int as n from usage_events`).toEqual([{ n: 4 }]);
      expect(await sql`select count(*)::int as n from api_keys`).toEqual([{ n: 5 }]);
      const ids = good.map(({ id }) => id);
      const found = await sql`select id from audit_events`;
      expect(found.filter(({ id }) => ids.includes(id))).toHaveLength(5);
      expect(audited()).toBe(5);
    });
  });

  test.each([
    ['changed', "update audit_events set actor = 'nobody'"],
    ['changed, though no row is meant', "update audit_events set actor = 'nobody' where false"],
    ['deleted', 'delete from audit_events'],
    ['emptied', 'truncate audit_events'],
    [
      'overwritten',
      "insert into audit_events select * from audit_events on conflict (id) do update set actor = 'nobody'",
    ],
    [
      'changed as a replica would',
      "set local session_replication_role = replica; update audit_events set actor = 'nobody'",
    ],
  ])('it cannot be %s', async (_, statement) => {
    const event = auditEvent({ action: 'config.loaded', target: 'budgets.yaml' });
    await ledger().append([streamEntry(event)]);
    await expect(sql.unsafe(statement).simple()).rejects.toThrow(
      /audit_events is never changed: (UPDATE|DELETE|TRUNCATE)/,
    );
    expect(await sql`select actor from audit_events where id = ${event.id}`).toEqual([{ actor: 'admin' }]);
  });

  test('old rows are removed as the guide says, and from then on nothing again', async () => {
    const guide = await readFile(join(packageRoot, 'docs/audit.md'), 'utf8');
    const [, statements = expect.fail()] = /```sql\n(.*?)```/s.exec(guide) ?? [];
    const [old, late] = [auditEvent({ at: Date.now() - 3 * 366 * 86_400_000 }), auditEvent({ at: Date.now() })];
    await ledger().append([old, late].map(streamEntry));
    const owner = await sql.reserve();
    await owner.unsafe(statements).simple();
    owner.release();
    expect(await sql`select id from audit_events where id in ${sql([old.id, late.id])}`).toEqual([{ id: late.id }]);
    await expect(sql`delete from audit_events`).rejects.toThrow(/never changed/);
  });
});

/** Text that does not shrink when PostgreSQL compresses it. */
const randomBytesText = (length: number) => Array.from({ length: length / 36 }, () => randomUUID()).join('');
