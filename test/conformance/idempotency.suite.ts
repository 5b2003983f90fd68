import { describe, expect, test } from 'vitest';
import { limit, plan, type Workbench } from './workbench.ts';

export function describeIdempotency(bench: () => Workbench): void {
  describe('C4 the same tenant and request id is granted once', () => {
    test('the second gets the first one’s answer, and is charged nothing', async () => {
      const soft = limit({ id: 'soft', capacity: 1, cost: 3, on_exceed: 'flag' });
      const wanted = plan(limit(), soft);
      const event = { policy_revision: 'r1' };
      const first = await bench().taken(wanted, { requestId: 'q', event });
      const second = await bench().take(wanted, { requestId: 'q', event: { policy_revision: 'r2' } });
      expect(second).toMatchObject({ kind: 'replayed', decisionId: first.id, policyRevision: 'r1' });
      expect(second).toHaveProperty('outcome', first.outcome);
      expect(await bench().used(limit())).toBe(1);
      expect(await bench().events()).toHaveLength(1);
    });

    test('also of two at the same time', async () => {
      for (let round = 0; round < 10; round++) {
        const twins = await Promise.all([1, 2].map(() => bench().take(limit(), { requestId: `q${round}` })));
        expect(twins.map(({ kind }) => kind).sort()).toEqual(['replayed', 'taken']);
      }
      expect(await bench().used(limit())).toBe(10);
      expect(await bench().events()).toHaveLength(10);
    });

    test('for another body it is a conflict, and nothing is charged', async () => {
      await bench().taken(limit(), { requestId: 'q' });
      expect(await bench().take(limit(), { requestId: 'q', fingerprint: 'other' })).toEqual({ kind: 'conflict' });
      expect(await bench().used(limit())).toBe(1);
      expect(await bench().events()).toHaveLength(1);
    });

    test('another tenant’s request of the same id is another one', async () => {
      await bench().taken(limit(), { requestId: 'q' });
      await bench().taken(limit(), { requestId: 'q', event: { tenant_id: `${bench().tenant}-other` } });
      expect(await bench().used(limit())).toBe(1);
    });

    test('without an id, every call is a new one', async () => {
      await bench().taken(limit());
      await bench().taken(limit());
      expect(await bench().used(limit())).toBe(2);
    });

    test('a refused id is tried anew', async () => {
      const { id } = await bench().taken(limit({ cost: 10, settles: true }));
      await bench().refused(limit(), { requestId: 'q' });
      await bench().void(id);
      await bench().taken(limit(), { requestId: 'q' });
    });

    test('a grant is remembered though there is no room for another one', async () => {
      await bench().taken(limit({ cost: 10 }), { requestId: 'q' });
      expect(await bench().take(limit({ cost: 10 }), { requestId: 'q' })).toMatchObject({ kind: 'replayed' });
    });

    test('it stays remembered once it is settled', async () => {
      const { id } = await bench().taken(limit({ settles: true }), { requestId: 'q' });
      await bench().settle(id, 5);
      expect(await bench().take(limit({ settles: true }), { requestId: 'q' })).toMatchObject({
        kind: 'replayed',
        decisionId: id,
      });
    });

    test('once voided, the id may be tried anew', async () => {
      const first = await bench().taken(limit(), { requestId: 'q' });
      await bench().void(first.id);
      const second = await bench().taken(limit(), { requestId: 'q' });
      expect(second.id).not.toBe(first.id);
      expect(await bench().take(limit(), { requestId: 'q' })).toMatchObject({ decisionId: second.id });
      expect(await bench().used(limit())).toBe(1);
    });

    test('a record is kept where there is a request id or something settles, and nowhere else', async () => {
      const event = { policy_revision: 'r1' };
      const plain = await bench().taken(limit(), { event });
      const named = await bench().taken(limit(), { event, requestId: 'q' });
      const reserved = await bench().taken(limit({ settles: true }), { event });
      expect(await bench().store.record(plain.id)).toBeUndefined();
      const kept = { tenantId: bench().tenant, policyRevision: 'r1' };
      expect(await bench().store.record(named.id)).toEqual({
        ...kept,
        decisionId: named.id,
        state: 'consumed',
        outcome: named.outcome,
        decidedAt: named.at,
      });
      expect(await bench().store.record(reserved.id)).toMatchObject({ ...kept, state: 'reserved' });
    });
  });
}
