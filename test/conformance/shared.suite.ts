import { describe, expect, test } from 'vitest';
import type { Limit } from '../../schemas/policy-io.ts';
import { calendarWindow, candidates, inFlight, limit, plan, type Workbench } from './workbench.ts';

const provider = (given: Partial<Parameters<typeof limit>[0]> = {}) =>
  limit({ id: 'provider', subject: { type: 'model', id: 'sonnet' }, scope: 'shared:anthropic', ...given });

export function describeShared(bench: () => Workbench, { settableClock }: { settableClock: boolean }): void {
  const other = () => ({ event: { tenant_id: `${bench().tenant} other` } });
  const used = async (of: Limit, given = {}) => {
    const { limits } = await bench().peek({ ...of, cost: 0 }, bench().tenant);
    return { ...given, used: limits[0]?.before }.used;
  };

  describe('C12 a shared limit is one for all tenants', () => {
    test('what one takes, others do not have', async () => {
      const wanted = provider({ capacity: 3 });
      await bench().taken(wanted);
      await bench().taken(wanted, other());
      await bench().taken(wanted, { event: { tenant_id: '@anthropic' } });
      expect((await bench().refused(wanted)).limits).toMatchObject([{ id: 'provider', before: 3, granted: false }]);
    });

    test('accounts do not share with each other, nor with a tenant', async () => {
      const wanted = provider({ capacity: 1 });
      await bench().taken(wanted);
      await bench().taken({ ...wanted, scope: 'shared:openai' });
      await bench().taken({ ...wanted, scope: 'tenant' });
      expect(await used(wanted)).toBe(1);
    });

    test('it is in the answer and in the event, with the tenant’s own, in the order of the plan', async () => {
      const own = limit({ id: 'own', capacity: 100, cost: 7 });
      const { outcome, id } = await bench().taken(plan(own, provider({ cost: 2 }), { ...own, id: 'last' }));
      expect(outcome.limits.map((each) => [each.id, each.before, each.used])).toEqual([
        ['own', 0, 7],
        ['provider', 0, 2],
        ['last', 0, 7],
      ]);
      const [event] = await bench().events();
      expect(event).toMatchObject({ decision_id: id, type: 'consumed' });
      const amounts = event?.limits.map((each) => [each.id, each.amount]) ?? [];
      expect(amounts.toSorted()).toEqual([
        ['last', 7],
        ['own', 7],
        ['provider', 2],
      ]);
    });

    test('C1 a tenant without room takes nothing of it', async () => {
      const own = limit({ id: 'own', capacity: 1 });
      await bench().taken(plan(own, provider()));
      const outcome = await bench().refused(plan(own, provider()));
      expect(outcome.limits).toMatchObject([
        { id: 'own', granted: false, before: 1, used: 1 },
        { id: 'provider', granted: true, before: 1, used: 1 },
      ]);
      expect(await used(provider())).toBe(1);
      expect((await bench().events()).map(({ type }) => type)).toEqual(['consumed', 'denied']);
    });

    test('C1 a tenant takes nothing where it has no room', async () => {
      const own = limit({ id: 'own' });
      await bench().taken(provider({ cost: 10 }), other());
      expect((await bench().refused(plan(own, provider()))).limits).toMatchObject([
        { id: 'own', granted: true, before: 0, used: 0 },
        { id: 'provider', granted: false, before: 10 },
      ]);
      expect(await bench().used(own)).toBe(0);
      expect((await bench().events()).map(({ type }) => type)).toEqual(['denied']);
    });

    test('C6 with many takes at once it is used up exactly', async () => {
      const own = limit({ id: 'own', capacity: 60 });
      const takes = Array.from({ length: 100 }, (_, index) =>
        bench().take(plan(own, provider({ capacity: 80 })), index % 2 ? other() : {}),
      );
      const results = await Promise.all(takes);
      const taken = results.filter(({ kind }) => kind === 'taken').length;
      expect(taken).toBeLessThanOrEqual(80);
      expect(await used(provider())).toBe(taken);
    });
  });

  describe('C12 candidates that share', () => {
    const a1 = { model: 'a1', limits: [provider({ id: 'a1', capacity: 1 })] };
    const a2 = { model: 'a2', limits: [provider({ id: 'a2', capacity: 1 })] };
    const b = { model: 'b', limits: [provider({ id: 'b', capacity: 1, scope: 'shared:openai' })] };
    const mine = { model: 'mine', limits: [limit({ id: 'mine', capacity: 1 })] };

    test('take their turn in order, whatever the account', async () => {
      const wanted = candidates([], a1, b, a2, mine);
      const chosen: (string | null)[] = [];
      for (let each = 0; each < 4; each++) chosen.push((await bench().taken(wanted)).outcome.candidate);
      expect(chosen).toEqual(['a1', 'b', 'a2', 'mine']);
      expect((await bench().refused(wanted)).limits).toMatchObject([{ id: 'a1', granted: false, before: 1 }]);
    });

    test('one that the tenant has no room for is given back, and the next one is taken', async () => {
      const own = limit({ id: 'dear', capacity: 0 });
      const wanted = candidates([], { model: 'dear', limits: [...a1.limits, own] }, a2);
      expect((await bench().taken(wanted)).outcome).toMatchObject({ candidate: 'a2', limits: [{ id: 'a2', used: 1 }] });
      expect(await used(a1.limits[0] as Limit)).toBe(0);
      expect(await bench().peek(wanted)).toMatchObject({ granted: false, limits: [{ id: 'a1' }, { id: 'dear' }] });
    });

    test('a look tells what a take would come to', async () => {
      const wanted = candidates([limit({ id: 'common', capacity: 2 })], a1, b);
      for (let each = 0; each < 3; each++) {
        const seen = await bench().peek(wanted);
        const result = await bench().take(wanted);
        expect(result).toMatchObject({ outcome: { granted: seen.granted, candidate: seen.candidate } });
        if (result.kind !== 'taken' && result.kind !== 'refused') throw new Error(result.kind);
        const numbers = ({ before, granted, id, used }: (typeof seen.limits)[number]) => ({
          before,
          granted,
          id,
          used,
        });
        expect(result.outcome.limits.map(numbers)).toEqual(seen.limits.map(numbers));
      }
    });

    test('two of one model are two', async () => {
      const soft = { model: 'a1', limits: [{ ...(a1.limits[0] as Limit), on_exceed: 'flag' as const }] };
      const wanted = candidates([], a1, soft);
      await bench().taken(wanted);
      expect((await bench().taken(wanted)).outcome).toMatchObject({
        candidate: 'a1',
        limits: [{ over: true, used: 2 }],
      });
    });
  });

  describe('C12 what was taken of a shared limit', () => {
    const estimate = provider({ id: 'estimate', capacity: 100, cost: 40, settles: true });
    const own = limit({ id: 'own', capacity: 100, cost: 40, settles: true });

    test('C7 is settled with the tenant’s own, once', async () => {
      const { id } = await bench().taken(plan(own, estimate));
      const report = await bench().settle(id, 15);
      expect(report).toMatchObject({
        kind: 'settled',
        replayed: false,
        changes: [
          { id: 'own', amount: -25 },
          { id: 'estimate', amount: -25 },
        ],
      });
      expect([await used(own), await used(estimate)]).toEqual([15, 15]);
      expect(await bench().settle(id, 15)).toMatchObject({ ...report, replayed: true });
      expect(await bench().settle(id, 16)).toEqual({ kind: 'conflict', state: 'settled' });
      expect([await used(own), await used(estimate)]).toEqual([15, 15]);
      const [, event] = await bench().events();
      expect(event?.limits.map((each) => [each.id, each.amount, each.after]).toSorted()).toEqual([
        ['estimate', -25, 15],
        ['own', -25, 15],
      ]);
    });

    test('C7 is given back with a void', async () => {
      const { id } = await bench().taken(plan(own, estimate));
      expect(await bench().void(id)).toMatchObject({ kind: 'voided', changes: [{ id: 'own' }, { id: 'estimate' }] });
      expect([await used(own), await used(estimate)]).toEqual([0, 0]);
      expect(await bench().void(id)).toMatchObject({ kind: 'voided', replayed: true });
    });

    test('is not another tenant’s to settle', async () => {
      const { id } = await bench().taken(plan(own, estimate));
      expect(await bench().settle(id, 1, { tenantId: 'other' })).toEqual({ kind: 'unknown' });
      expect(await used(estimate)).toBe(40);
    });

    test('C4 is taken once under one request id, also when two arrive together', async () => {
      const wanted = plan(own, estimate);
      const results = await Promise.all([1, 2, 3].map(() => bench().take(wanted, { requestId: 'once' })));
      expect(results.map(({ kind }) => kind).toSorted()).toEqual(['replayed', 'replayed', 'taken']);
      expect([await used(own), await used(estimate)]).toEqual([40, 40]);
      const again = await bench().take(wanted, { requestId: 'once' });
      expect(again).toMatchObject({ kind: 'replayed', outcome: { limits: [{ id: 'own' }, { id: 'estimate' }] } });
      expect(await bench().take(wanted, { requestId: 'once', fingerprint: 'other' })).toEqual({ kind: 'conflict' });
      expect(await used(estimate)).toBe(40);
    });

    test('is taken back by the process that took it', async () => {
      const { id, receipt } = await bench().taken(plan(limit({ id: 'final' }), provider()));
      await bench().void(id, { receipt });
      expect(await used(provider())).toBe(0);
    });

    if (!settableClock) return;

    test('C7 stands when nobody settles it, and is no longer in flight', async () => {
      const calls = inFlight({ id: 'calls', scope: 'shared:anthropic' });
      const { id } = await bench().taken(plan(own, estimate, calls));
      expect(await used(calls)).toBe(1);
      await bench().advance(900_000);
      expect(await bench().store.expire(10)).toBe(1);
      expect([await used(own), await used(estimate), await used(calls)]).toEqual([40, 40, 0]);
      expect(await bench().store.record(id)).toMatchObject({ state: 'expired' });
      expect(await bench().settle(id, 10)).toMatchObject({ kind: 'settled' });
      expect([await used(own), await used(estimate), await used(calls)]).toEqual([10, 10, 0]);
    });

    test('C9 counts within periods of the calendar', async () => {
      const daily = calendarWindow({ id: 'daily', capacity: 1, scope: 'shared:anthropic' });
      await bench().taken(daily, other());
      await bench().refused(daily);
      await bench().advance(86_400_000);
      await bench().taken(daily);
    });
  });
}
