import { v7 as uuidv7 } from 'uuid';
import { describe, expect, test } from 'vitest';
import { MAX_AMOUNT } from '../../schemas/amounts.ts';
import {
  type BudgetGrant,
  BudgetGrantExpired,
  BudgetGrantsFull,
  type LiveBudgetGrant,
} from '../../sidecar/counters/budget-grant.ts';
import { type CounterStore, CountersUnavailable } from '../../sidecar/counters/contract.ts';
import { type OpenStore, Workbench } from './workbench.ts';

const HOUR_MS = 3_600_000;
const KEY = 'ocr:{p0}:grants';
const STREAM = 'ocr:{p0}:usage';
const ODD = 'a "b" {p0}:%\\ \u0001 café 😀\n';

interface Traits {
  scripts: boolean;
  settableClock: boolean;
}

export function describeBudgetGrants(bench: () => Workbench, open: OpenStore, traits: Traits): void {
  /** Until the year 2100 if the test does not say. */
  const boost = (given: Partial<BudgetGrant> = {}): BudgetGrant => ({
    id: uuidv7(),
    tenantId: bench().tenant,
    userId: 'alice',
    tokens: 500,
    expiresAt: Date.UTC(2100, 0),
    reason: 'a release',
    by: 'admin',
    ...given,
  });
  const granted = async (given: Partial<BudgetGrant> = {}, store = bench().store): Promise<LiveBudgetGrant> => {
    const grant = boost(given);
    const { at, replayed } = await store.grantBudget(grant);
    expect(replayed).toBe(false);
    return { ...grant, at };
  };
  const all = async (store: CounterStore = bench().store) => (await store.budgetGrants(undefined))?.grants;
  const versionOf = async (store: CounterStore = bench().store) => (await store.budgetGrants(undefined))?.version;

  describe('C17 a boost of a budget', () => {
    test('is told with all that was said of it, and when it began, whatever the names', async () => {
      expect(await all()).toEqual([]);
      const first = await granted();
      const odd = { id: ODD, userId: ODD, reason: ODD, by: ODD, tokens: MAX_AMOUNT, expiresAt: MAX_AMOUNT };
      const second = await granted(odd);
      const third = await granted({ tenantId: ODD, tokens: 1 });
      const listed = (await all()) ?? [];
      expect(listed).toHaveLength(3);
      expect(listed).toEqual(expect.arrayContaining([first, second, third]));
      expect(listed.map(({ at }) => at)).toEqual(listed.map(({ at }) => at).sort());
      expect(await bench().store.revokeGrant(ODD, ODD)).toBe(true);
      const events = (await bench().events()).map(({ decision_id, grant, id, user_id }) => [
        id,
        decision_id,
        user_id,
        grant,
      ]);
      const terms = { expires_at: MAX_AMOUNT, reason: ODD, by: ODD };
      expect(events.slice(1)).toEqual([
        [`${ODD}:adjusted`, ODD, ODD, { tokens: MAX_AMOUNT, ...terms }],
        [`${ODD}:revoked:adjusted`, ODD, ODD, { tokens: -MAX_AMOUNT, ...terms }],
      ]);
    });

    test('is granted once however often it is repeated, also at once, and its event is there once', async () => {
      const grant = boost();
      const results = await Promise.all(Array.from({ length: 20 }, () => bench().store.grantBudget(grant)));
      expect(results.filter(({ replayed }) => !replayed)).toHaveLength(1);
      const [{ at = 0 } = {}, ...others] = results;
      expect(others.map((each) => each.at)).toEqual(others.map(() => at));
      const version = await versionOf();
      expect(await bench().store.grantBudget({ ...grant, tokens: 900 })).toEqual({ at, replayed: true });
      expect(await bench().store.budgetGrants(version)).toBeUndefined();
      expect(await all()).toEqual([{ ...grant, at }]);
      expect(await bench().events()).toEqual([
        {
          v: 1,
          id: `${grant.id}:adjusted`,
          type: 'adjusted',
          decision_id: grant.id,
          tenant_id: bench().tenant,
          user_id: 'alice',
          grant: { tokens: 500, expires_at: grant.expiresAt, reason: 'a release', by: 'admin' },
          limits: [],
          outcome: { granted: true, reason: 'ok' },
          count: 1,
          decided_at: at,
          at,
        },
      ]);
    });

    test('changes the version, and nothing else does', async () => {
      const none = await bench().store.budgetGrants(undefined);
      expect(none?.grants).toEqual([]);
      expect(await bench().store.budgetGrants(none?.version)).toBeUndefined();
      const { id } = await granted();
      const one = await bench().store.budgetGrants(none?.version);
      expect(one?.grants).toHaveLength(1);
      expect(await bench().store.budgetGrants(one?.version)).toBeUndefined();
      await granted({ tenantId: 'another tenant' });
      const two = await bench().store.budgetGrants(one?.version);
      expect(two?.grants).toHaveLength(2);
      await bench().store.revokeGrant('nothing', 'admin');
      expect(await bench().store.budgetGrants(two?.version)).toBeUndefined();
      await bench().store.revokeGrant(id, 'admin');
      const three = await bench().store.budgetGrants(two?.version);
      expect(three?.grants).toHaveLength(1);
      const versions = [none, one, two, three].map((each) => each?.version);
      expect(new Set(versions).size).toBe(4);
      for (const old of [...versions.slice(0, 3), '', 'x', ':0', `x${versions[3]}`]) {
        expect(await bench().store.budgetGrants(old)).toEqual(three);
      }
    });

    test('is known to another sidecar, or to the same one started again, and so is its version', async () => {
      const kept = await granted();
      const { id } = await granted({ userId: 'bob' });
      await bench().store.revokeGrant(id, 'admin');
      const version = await versionOf();
      const another = await bench().another();
      expect(await another.budgetGrants(version)).toBeUndefined();
      expect(await all(another)).toEqual([kept]);
      expect(await another.grantBudget(kept)).toEqual({ at: kept.at, replayed: true });
      expect(await another.grantBudget(boost({ id }))).toMatchObject({ replayed: true });
      expect(await all(another)).toEqual([kept]);
      expect(await another.revokeGrant(kept.id, 'admin')).toBe(true);
      expect(await all(another)).toEqual([]);
    });

    test('that is taken back is gone, once, and a late repetition does not bring it back', async () => {
      const { at, id, ...grant } = await granted();
      const kept = await granted({ userId: 'bob' });
      expect(await bench().store.revokeGrant(id, 'another admin')).toBe(true);
      expect(await bench().store.revokeGrant(id, 'another admin')).toBe(false);
      expect(await bench().store.grantBudget({ id, ...grant })).toEqual({ at, replayed: true });
      expect(await all()).toEqual([kept]);
      const events = (await bench().events()).filter(({ decision_id }) => decision_id === id);
      expect(events).toMatchObject([
        { id: `${id}:adjusted`, grant: { tokens: 500, by: 'admin' } },
        {
          id: `${id}:revoked:adjusted`,
          type: 'adjusted',
          tenant_id: bench().tenant,
          user_id: 'alice',
          grant: { tokens: -500, expires_at: grant.expiresAt, reason: grant.reason, by: 'another admin' },
          limits: [],
          decided_at: at,
        },
      ]);
      expect(events).toHaveLength(2);
    });

    test('that would be over already is not kept', async () => {
      await expect(bench().store.grantBudget(boost({ expiresAt: 1_000 }))).rejects.toThrow(BudgetGrantExpired);
      expect(await all()).toEqual([]);
      expect(await bench().events()).toEqual([]);
    });

    test.each([
      ['no tokens', { tokens: 0 }],
      ['tokens taken away', { tokens: -1 }],
      ['half a token', { tokens: 0.5 }],
      ['tokens beyond what is exact', { tokens: 2 ** 53 }],
      ['an end that is none', { expiresAt: Number.NaN }],
    ])('of %s is refused', async (_, given) => {
      await expect(bench().store.grantBudget(boost(given))).rejects.toThrow(CountersUnavailable);
      expect(await all()).toEqual([]);
      expect(await bench().events()).toEqual([]);
    });
  });

  describe('C17 no more boosts are kept than there may be', () => {
    const withRoomFor3 = async (work: (narrow: Workbench) => Promise<void>) => {
      const narrow = new Workbench(await open({ maxBudgetGrants: 3 }));
      try {
        await work(narrow);
      } finally {
        await narrow.close();
      }
    };

    test('one too many is refused and leaves nothing, what is there is told and can be repeated', () =>
      withRoomFor3(async (narrow) => {
        const kept = [];
        for (const userId of ['a', 'b', 'c']) {
          kept.push(await granted({ userId, tenantId: narrow.tenant }, narrow.store));
        }
        const version = await versionOf(narrow.store);
        const tooMany = () => narrow.store.grantBudget(boost({ tenantId: narrow.tenant }));
        await expect(tooMany()).rejects.toThrow(BudgetGrantsFull);
        expect(await narrow.store.grantBudget(kept[0] as BudgetGrant)).toMatchObject({ replayed: true });
        expect(await narrow.store.budgetGrants(version)).toBeUndefined();
        await narrow.store.revokeGrant(kept[0]?.id ?? '', 'admin');
        await expect(tooMany()).rejects.toThrow('3 budget grants are kept');
        expect(await all(narrow.store)).toHaveLength(2);
        expect(await narrow.events()).toHaveLength(4);
      }));

    if (!traits.settableClock) return;

    test('there is room again when one is over, also one that was taken back a day ago', () =>
      withRoomFor3(async (narrow) => {
        const now = narrow.clock.now();
        const grant = (hours?: number) =>
          narrow.store.grantBudget(boost(hours ? { expiresAt: now + hours * HOUR_MS } : {}));
        await grant(1);
        await grant(2);
        const lasting = await granted({}, narrow.store);
        await narrow.advance(HOUR_MS - 1);
        await expect(grant()).rejects.toThrow(BudgetGrantsFull);
        await narrow.advance(1);
        await grant(100);
        await expect(grant()).rejects.toThrow(BudgetGrantsFull);
        await narrow.advance(HOUR_MS);
        await grant(100);
        await narrow.store.revokeGrant(lasting.id, 'admin');
        await narrow.advance(24 * HOUR_MS - 1);
        await expect(grant()).rejects.toThrow(BudgetGrantsFull);
        await narrow.advance(1);
        await grant();
        expect(await all(narrow.store)).toHaveLength(3);
      }));
  });

  if (traits.settableClock) {
    describe('C17 a boost is told until it expires by the store’s clock', () => {
      test('to the millisecond, also if nobody writes, and to who knows the version', async () => {
        const now = bench().clock.now();
        const long = await granted({ expiresAt: now + 2 * HOUR_MS });
        const short = await granted({ expiresAt: now + HOUR_MS });
        const both = await bench().store.budgetGrants(undefined);
        expect(both?.grants).toHaveLength(2);
        await bench().advance(HOUR_MS - 1);
        expect(await bench().store.budgetGrants(both?.version)).toBeUndefined();
        await bench().advance(1);
        const one = await bench().store.budgetGrants(both?.version);
        expect(one?.grants).toEqual([long]);
        expect(await bench().store.budgetGrants(one?.version)).toBeUndefined();
        expect(await bench().store.revokeGrant(short.id, 'admin')).toBe(false);
        await expect(bench().store.grantBudget(short)).rejects.toThrow(BudgetGrantExpired);
        await bench().advance(HOUR_MS);
        const none = await bench().store.budgetGrants(one?.version);
        expect(none?.grants).toEqual([]);
        expect(await bench().store.budgetGrants(none?.version)).toBeUndefined();
        expect(await bench().events()).toHaveLength(2);
      });

      test('the oldest first, and in the order of their ids where they are as old', async () => {
        await granted({ id: 'c' });
        await granted({ id: 'b' });
        await bench().advance(1);
        await granted({ id: 'a' });
        expect((await all())?.map(({ id }) => id)).toEqual(['b', 'c', 'a']);
      });

      test('one that was taken back stays so to its end', async () => {
        const grant = await granted({ expiresAt: bench().clock.now() + HOUR_MS });
        await bench().store.revokeGrant(grant.id, 'admin');
        await bench().advance(HOUR_MS - 1);
        expect(await bench().store.grantBudget(grant)).toMatchObject({ replayed: true });
        await bench().advance(1);
        await expect(bench().store.grantBudget(grant)).rejects.toThrow(BudgetGrantExpired);
        expect(await all()).toEqual([]);
      });
    });
  }

  if (traits.scripts) {
    describe('C17 what holds something else is not written, and nothing beside it', () => {
      const entries = () => bench().send(['XLEN', STREAM]);

      test('where the boosts are to be', async () => {
        await bench().send(['SET', KEY, 'something else']);
        const before = await entries();
        await expect(bench().store.grantBudget(boost())).rejects.toThrow(/WRONGTYPE/);
        await expect(bench().store.revokeGrant('any', 'admin')).rejects.toThrow(/WRONGTYPE/);
        await expect(bench().store.budgetGrants(undefined)).rejects.toThrow(/WRONGTYPE/);
        expect(await entries()).toEqual(before);
        expect(await bench().send(['GET', KEY])).toBe('something else');
      });

      test('where one of them is to be', async () => {
        const grant = boost();
        await granted();
        await bench().send(['HSET', KEY, grant.id, 'something else']);
        const before = [await entries(), await bench().send(['HGET', KEY, '@v'])];
        await expect(bench().store.grantBudget(grant)).rejects.toThrow(/something else/);
        await expect(bench().store.revokeGrant(grant.id, 'admin')).rejects.toThrow(/something else/);
        await expect(bench().store.budgetGrants(undefined)).rejects.toThrow(/something else/);
        expect([await entries(), await bench().send(['HGET', KEY, '@v'])]).toEqual(before);
      });

      test('where the events are to be', async () => {
        const kept = await granted();
        const version = await versionOf();
        await bench().send(['RENAME', STREAM, `${STREAM}:aside`]);
        await bench().send(['SET', STREAM, 'something else']);
        await expect(bench().store.grantBudget(boost())).rejects.toThrow(/WRONGTYPE/);
        await expect(bench().store.revokeGrant(kept.id, 'admin')).rejects.toThrow(/WRONGTYPE/);
        expect(await bench().store.budgetGrants(version)).toBeUndefined();
        await bench().send(['RENAME', `${STREAM}:aside`, STREAM]);
        expect(await all()).toEqual([kept]);
        expect(await bench().events()).toHaveLength(1);
      });

      test('and scripts that the server has forgotten are sent along', async () => {
        await bench().flushScripts();
        const { id } = await granted();
        await bench().flushScripts();
        expect(await all()).toHaveLength(1);
        await bench().flushScripts();
        expect(await bench().store.revokeGrant(id, 'admin')).toBe(true);
        expect(await bench().events()).toHaveLength(2);
      });

      if (traits.settableClock) {
        test('what is over is not kept for ever', async () => {
          const now = bench().clock.now();
          for (let hours = 1; hours <= 3; hours++) await granted({ expiresAt: now + hours * HOUR_MS });
          const lasting = await granted();
          await bench().advance(2 * HOUR_MS);
          const late = await granted();
          const fields = (await bench().send(['HKEYS', KEY])) as string[];
          expect(fields).toHaveLength(5);
          expect(fields).toEqual(expect.arrayContaining(['@v', '@first', lasting.id, late.id]));
        });
      }

      test('a version is another one after all was lost', async () => {
        await granted();
        const version = await versionOf();
        await bench().send(['DEL', KEY]);
        if (traits.settableClock) await bench().advance(1);
        const { id } = await granted();
        expect((await bench().store.budgetGrants(version))?.grants).toMatchObject([{ id }]);
      });
    });
  }
}
