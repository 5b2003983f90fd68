import { describe, expect, test } from 'vitest';
import type { Plan } from '../../schemas/policy-io.ts';
import type { Owed } from '../../sidecar/counters/contract.ts';
import { calendarWindow, candidates, inFlight, limit, plan, type Workbench } from './workbench.ts';

const bucket = limit({ capacity: 10, cost: 4 });

export function describeOwed(bench: () => Workbench, { settableClock }: { settableClock: boolean }): void {
  const owe = (what: Plan, given: Partial<Owed> = {}) =>
    bench().store.owe({
      decisionId: bench().newId(),
      plan: what,
      event: { tenant_id: bench().tenant },
      fingerprint: 'body',
      decidedAt: Date.parse('2025-12-31T23:59:59Z'),
      ...given,
    });

  describe('C14 what was allowed while the store was away', () => {
    test('is charged afterwards, also into debt', async () => {
      for (let each = 0; each < 3; each++) expect((await owe(plan(bucket))).kind).toBe('taken');
      expect(await bench().used(bucket)).toBe(12);
      expect((await bench().refused(bucket)).limits).toMatchObject([{ granted: false, before: 12 }]);
    });

    test('is charged once, however often it is repeated', async () => {
      const decisionId = bench().newId();
      expect(await owe(plan(bucket), { decisionId })).toMatchObject({ kind: 'taken' });
      expect(await owe(plan(bucket), { decisionId })).toMatchObject({ kind: 'replayed', decisionId });
      expect(await bench().used(bucket)).toBe(4);
      expect(await bench().events()).toHaveLength(1);
    });

    test('is not charged again if the store had taken it and only its answer was lost', async () => {
      const settles = { ...bucket, settles: true };
      const { id } = await bench().taken(settles);
      expect(await owe(plan(settles), { decisionId: id })).toMatchObject({ kind: 'replayed', decisionId: id });
      expect(await bench().used(bucket)).toBe(4);
    });

    test('is known by its request id, before and after', async () => {
      const { id } = await bench().taken(bucket, { requestId: 'before' });
      expect(await owe(plan(bucket), { requestId: 'before' })).toMatchObject({ kind: 'replayed', decisionId: id });
      expect(await owe(plan(bucket), { requestId: 'before', fingerprint: 'other' })).toEqual({ kind: 'conflict' });
      const decisionId = bench().newId();
      await owe(plan(bucket), { decisionId, requestId: 'after' });
      expect(await bench().take(bucket, { requestId: 'after' })).toMatchObject({ kind: 'replayed', decisionId });
      expect(await bench().used(bucket)).toBe(8);
    });

    test('has its event, degraded, with the time at which it was decided', async () => {
      const decidedAt = Date.parse('2025-12-31T23:00:00Z');
      const decisionId = bench().newId();
      await owe(plan(bucket), { decisionId, decidedAt, event: { tenant_id: bench().tenant, model: 'sonnet' } });
      const [event] = await bench().events();
      expect(event).toMatchObject({
        id: `${decisionId}:consumed`,
        type: 'consumed',
        model: 'sonnet',
        degraded: true,
        decided_at: decidedAt,
        limits: [{ id: 'bucket', amount: 4, before: 0, after: 4 }],
      });
      expect(event?.at).toBeGreaterThan(decidedAt);
    });

    test('was for the first candidate, whatever its gates and limits say now', async () => {
      const dear = limit({ id: 'dear', capacity: 0 });
      const wanted = candidates(
        [bucket],
        { model: 'dear', limits: [dear], gates: ['cooldown'] },
        { model: 'cheap', limits: [] },
      );
      await bench().store.setGate({ tenantId: bench().tenant, scope: 'tenant', name: 'cooldown' }, 9e15);
      expect(await owe(wanted)).toMatchObject({ kind: 'taken', outcome: { candidate: 'dear' } });
      expect(await Promise.all([bucket, dear].map((each) => bench().used(each)))).toEqual([4, 1]);
    });

    test('can be settled and voided like any other', async () => {
      const settles = { ...bucket, settles: true };
      const [first, second] = [bench().newId(), bench().newId()];
      await owe(plan(settles, inFlight()), { decisionId: first });
      await owe(plan(settles, inFlight()), { decisionId: second });
      expect(await bench().settle(first, 1)).toMatchObject({ kind: 'settled' });
      expect(await bench().void(second)).toMatchObject({ kind: 'voided' });
      expect(await Promise.all([settles, inFlight()].map((each) => bench().used(each)))).toEqual([1, 0]);
    });

    test('C12 draws on a shared limit too, once', async () => {
      const shared = limit({ id: 'provider', capacity: 5, cost: 4, scope: 'shared:anthropic', settles: true });
      const decisionId = bench().newId();
      for (let each = 0; each < 2; each++) await owe(plan(bucket, shared), { decisionId });
      await owe(plan(bucket, shared));
      expect(await Promise.all([bucket, shared].map((each) => bench().used(each)))).toEqual([8, 8]);
      const [event] = await bench().events();
      expect(event?.limits.map(({ amount, id }) => [id, amount]).toSorted()).toEqual([
        ['bucket', 4],
        ['provider', 4],
      ]);
      expect(await bench().settle(decisionId, 1)).toMatchObject({ kind: 'settled' });
      expect(await bench().used(shared)).toBe(5);
    });

    if (!settableClock) return;

    test('C9 is not taken from a period that began since', async () => {
      const daily = calendarWindow({ settles: true });
      const decidedAt = bench().clock.now() + 1;
      await bench().advance(86_400_000);
      await bench().taken(daily);
      const decisionId = bench().newId();
      expect(await owe(plan(daily), { decisionId, decidedAt })).toMatchObject({ kind: 'taken' });
      expect(await bench().used(daily)).toBe(1);
      expect(await bench().settle(decisionId, 8)).toMatchObject({ kind: 'settled' });
      expect(await bench().used(daily)).toBe(1);
      const charged = (await bench().events()).map(({ limits: [first] }) => [
        first?.amount,
        first?.before,
        first?.after,
      ]);
      expect(charged).toEqual([
        [1, 0, 1],
        [1, 1, 1],
        [7, 1, 1],
      ]);
      await owe(plan(daily), { decidedAt: bench().clock.now() });
      expect(await bench().used(daily)).toBe(2);
    });
  });
}
