import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Limit } from '../../schemas/policy-io.ts';
import { limit, only, plan, type Workbench } from './workbench.ts';

const estimate = limit({ id: 'estimate', capacity: 100, cost: 40, settles: true, billed: true });
const requests = limit({ id: 'requests', unit: 'requests' });
const final = limit({ id: 'final', capacity: 100, cost: 7 });

export function describeSettle(bench: () => Workbench): void {
  describe('C7 settle moves the charge from the estimate to what was really used, once', () => {
    test('down', async () => {
      const { id } = await bench().taken(plan(estimate, requests, final));
      expect(await bench().settle(id, 15)).toMatchObject({
        kind: 'settled',
        replayed: false,
        changes: [{ id: 'estimate', unit: 'tokens', amount: -25 }],
      });
      expect(await Promise.all([estimate, requests, final].map((each) => bench().used(each)))).toEqual([15, 1, 7]);
      expect(await bench().store.record(id)).toMatchObject({ state: 'settled' });
    });

    test('up', async () => {
      const { id } = await bench().taken(estimate);
      expect(await bench().settle(id, 90)).toMatchObject({ changes: [{ amount: 50 }] });
      expect(await bench().used(estimate)).toBe(90);
    });

    test('up into debt, which takes go on being refused for', async () => {
      const { id } = await bench().taken(estimate);
      await bench().settle(id, 250);
      const refused = only(await bench().refused({ ...estimate, cost: 1 }));
      expect(refused).toMatchObject({ used: 250, remaining: 0, used_percent: 250, over: true });
      expect(await bench().used(estimate)).toBe(250);
    });

    test('a unit that the report leaves out keeps its estimate', async () => {
      const { id } = await bench().taken(plan(estimate, { ...requests, settles: true }));
      await bench().store.settle({ decisionId: id, kind: 'settle', actual: { requests: 3 }, fingerprint: 'f' });
      expect(await Promise.all([estimate, requests].map((each) => bench().used(each)))).toEqual([40, 3]);
    });

    test('its event has the signed change, the usage, and the time of the decision', async () => {
      const { at, id } = await bench().taken(estimate, { event: { user_id: 'u', model: 'asked' } });
      const usage = { input: 10, output: 5 };
      const settled = await bench().settle(id, 15, { usage, model: 'answered' });
      const [, event] = await bench().events();
      expect(event).toMatchObject({
        id: `${id}:settled`,
        type: 'settled',
        decision_id: id,
        user_id: 'u',
        model: 'answered',
        usage,
        decided_at: at,
        at: (settled as { at: number }).at,
        limits: [{ id: 'estimate', unit: 'tokens', billed: true, amount: -25, before: 40, after: 15 }],
      });
    });

    test('a report without a model keeps the one that was asked for', async () => {
      const { id } = await bench().taken(estimate, { event: { model: 'asked' } });
      await bench().settle(id, 15);
      expect(await bench().events()).toMatchObject([{ model: 'asked' }, { model: 'asked' }]);
    });

    test('the same report again gets the same answer and changes nothing', async () => {
      const { id } = await bench().taken(estimate);
      const first = await bench().settle(id, 15);
      const again = await Promise.all([1, 2, 3].map(() => bench().settle(id, 15)));
      for (const answer of again) expect(answer).toEqual({ ...first, replayed: true });
      expect(await bench().used(estimate)).toBe(15);
      expect(await bench().events()).toHaveLength(2);
    });

    test('of two at the same time, one does it', async () => {
      const { id } = await bench().taken(estimate);
      const both = await Promise.all([1, 2].map(() => bench().settle(id, 15)));
      expect(both.map((answer) => 'replayed' in answer && answer.replayed).sort()).toEqual([false, true]);
      expect(await bench().used(estimate)).toBe(15);
    });

    test('another report is a conflict that says what was done', async () => {
      const settled = await bench().taken(estimate);
      await bench().settle(settled.id, 15);
      expect(await bench().settle(settled.id, 16)).toEqual({ kind: 'conflict', state: 'settled' });
      expect(await bench().void(settled.id)).toEqual({ kind: 'conflict', state: 'settled' });
      const voided = await bench().taken(estimate);
      await bench().void(voided.id);
      expect(await bench().settle(voided.id, 15)).toEqual({ kind: 'conflict', state: 'voided' });
      expect(await bench().used(estimate)).toBe(15);
      expect(await bench().events()).toHaveLength(4);
    });

    test('another tenant’s decision, and one that there never was, are unknown', async () => {
      const { id } = await bench().taken(estimate);
      expect(await bench().settle(id, 15, { tenantId: 'somebody-else' })).toEqual({ kind: 'unknown' });
      expect(await bench().settle(bench().newId(), 15)).toEqual({ kind: 'unknown' });
      expect(await bench().used(estimate)).toBe(40);
      expect(await bench().settle(id, 15, { tenantId: bench().tenant })).toMatchObject({ kind: 'settled' });
    });
  });

  describe('C7 void gives all of it back, once', () => {
    test('also what does not settle', async () => {
      const free = limit({ id: 'free', cost: 0 });
      const { id } = await bench().taken(plan(estimate, requests, final, free));
      const voided = await bench().void(id);
      expect(voided).toMatchObject({ kind: 'voided', replayed: false });
      const amounts = 'changes' in voided ? voided.changes.filter(({ amount }) => amount !== 0) : [];
      expect(amounts).toEqual([
        { id: 'estimate', unit: 'tokens', amount: -40 },
        { id: 'requests', unit: 'requests', amount: -1 },
        { id: 'final', unit: 'tokens', amount: -7 },
      ]);
      expect(await Promise.all([estimate, requests, final].map((each) => bench().used(each)))).toEqual([0, 0, 0]);
      expect(await bench().store.record(id)).toMatchObject({ state: 'voided' });
      const [, event] = await bench().events();
      expect(event).toMatchObject({ id: `${id}:voided`, type: 'voided' });
    });

    test('again, it changes nothing', async () => {
      await bench().taken(estimate);
      const { id } = await bench().taken(estimate);
      await bench().void(id);
      expect(await bench().void(id)).toMatchObject({ kind: 'voided', replayed: true });
      expect(await bench().used(estimate)).toBe(40);
    });

    test('in whatever order, all of it', async () => {
      const ids: string[] = [];
      for (let each = 0; each < 5; each++) ids.push((await bench().taken(limit({ settles: true, cost: 2 }))).id);
      for (const index of [3, 0, 4, 2, 1]) await bench().void(ids[index] as string);
      expect(await bench().used(limit())).toBe(0);
      await bench().taken(limit({ cost: 10 }));
    });

    test('the process that took can void by its receipt where no record is kept, once', async () => {
      const { id, receipt } = await bench().taken(final);
      await bench().taken(final);
      expect(await bench().void(id)).toEqual({ kind: 'unknown' });
      expect(await bench().void(id, { receipt })).toMatchObject({ kind: 'voided', replayed: false });
      expect(await bench().void(id, { receipt })).toMatchObject({ kind: 'voided', replayed: true });
      expect(await bench().used(final)).toBe(7);
      expect((await bench().events()).map(({ type }) => type)).toEqual(['consumed', 'consumed', 'voided']);
    });
  });

  test('C5 the events of a limit add up to what is in use of it', async () => {
    const step = fc.record({
      what: fc.constantFrom('take', 'take', 'settle', 'void'),
      which: fc.nat({ max: 5 }),
      amount: fc.nat({ max: 60 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.uuid(), async (steps, run) => {
        const event = { tenant_id: run };
        const ids: string[] = [];
        const limits = (cost: number): Limit[] => [
          { ...estimate, cost },
          { ...final, cost: 3 },
        ];
        for (const { amount, what, which } of steps) {
          const id = ids[which] ?? 'none';
          if (what === 'settle') await bench().settle(id, amount);
          if (what === 'void') await bench().void(id);
          if (what !== 'take') continue;
          const decisionId = bench().newId();
          const { kind } = await bench().take(plan(...limits(amount)), { decisionId, event });
          if (kind === 'taken') ids.push(decisionId);
        }
        const charged = (await bench().events(run)).flatMap((each) => each.limits);
        for (const { id, before } of (await bench().peek(plan(...limits(0)), run)).limits) {
          const amounts = charged.filter((each) => each.id === id).map(({ amount }) => amount);
          expect(amounts.reduce((sum, amount) => sum + amount, 0)).toBe(before);
        }
      }),
      { numRuns: 40 },
    );
  });
}
