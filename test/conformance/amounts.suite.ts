import { describe, expect, test } from 'vitest';
import { MAX_AMOUNT } from '../../schemas/amounts.ts';
import { limit, only, type Workbench } from './workbench.ts';

const huge = limit({ id: 'huge', capacity: MAX_AMOUNT, cost: MAX_AMOUNT - 2, settles: true });

export function describeAmounts(bench: () => Workbench): void {
  describe('C11 amounts are whole numbers from 0 to 2^53 − 1, exactly', () => {
    test('the largest are counted to the last one', async () => {
      await bench().taken(huge);
      await bench().refused({ ...huge, cost: 3 });
      const { outcome } = await bench().taken({ ...huge, cost: 2 });
      expect(only(outcome)).toMatchObject({ before: MAX_AMOUNT - 2, used: MAX_AMOUNT, remaining: 0 });
      await bench().refused({ ...huge, cost: 1 });
      const [first] = await bench().events();
      expect(first?.limits).toMatchObject([{ amount: MAX_AMOUNT - 2, before: 0, after: MAX_AMOUNT - 2 }]);
    });

    test('what is beyond them in debt stays at the largest, and no take becomes possible by it', async () => {
      const { id } = await bench().taken({ ...huge, cost: 1 });
      await bench().taken({ ...huge, cost: MAX_AMOUNT - 10 });
      await bench().settle(id, MAX_AMOUNT);
      expect(await bench().used(huge)).toBe(MAX_AMOUNT);
      await bench().refused({ ...huge, cost: 1 });
    });

    test('a record keeps them exactly', async () => {
      const { id, outcome } = await bench().taken(huge);
      expect((await bench().store.record(id))?.outcome).toEqual(outcome);
      expect(await bench().settle(id, 1)).toMatchObject({ changes: [{ amount: 3 - MAX_AMOUNT }] });
      expect(await bench().used(huge)).toBe(1);
    });

    test.each([
      ['a fraction', 0.5],
      ['NaN', Number.NaN],
      ['infinity', Number.POSITIVE_INFINITY],
      ['a negative one', -1],
      ['one above 2^53', 2 ** 53 + 2],
      ['a text', '1e3' as unknown as number],
    ])('%s is an error, and charges nothing', async (_, amount) => {
      await expect(bench().take(limit({ cost: amount }))).rejects.toThrow();
      await expect(bench().take(limit({ capacity: amount }))).rejects.toThrow();
      await expect(bench().take(limit({ refill: { amount } }))).rejects.toThrow();
      const { id } = await bench().taken(limit({ settles: true }));
      await expect(bench().settle(id, amount)).rejects.toThrow();
      expect(await bench().used(limit())).toBe(1);
      expect(await bench().events()).toHaveLength(1);
    });

    test.each(['7', '7 7', '7\n'])('the text %j is no cost and no capacity', async (text) => {
      const digits = text as unknown as number;
      await expect(bench().take(limit({ cost: digits }))).rejects.toThrow('limit bucket: ');
      await expect(bench().take(limit({ capacity: digits }))).rejects.toThrow('limit bucket: ');
      expect(await bench().events()).toEqual([]);
    });

    test('an error in one take is that take’s alone', async () => {
      const [bad, good] = await Promise.allSettled([bench().take(limit({ cost: -1 })), bench().take(limit())]);
      expect(bad.status).toBe('rejected');
      expect(good).toMatchObject({ status: 'fulfilled', value: { kind: 'taken' } });
    });

    test('also where several are of the same bad rule: each is told of its own limit', async () => {
      const bad = (id: string) => bench().take(limit({ id, capacity: -1 }));
      const takes = [bad('a'), bench().take(limit()), bad('b/"b"'), bench().take(limit())];
      const [first, good, second, better] = await Promise.allSettled(takes);
      expect(first).toMatchObject({ reason: { message: expect.stringContaining('limit a: ') } });
      expect(second).toMatchObject({ reason: { message: expect.stringContaining('limit b/"b": ') } });
      expect([good, better]).toMatchObject([{ value: { kind: 'taken' } }, { value: { kind: 'taken' } }]);
      expect(await bench().used(limit())).toBe(2);
    });

    test('what a take does not move of a counter stays exact: its refills, and what was paid off', async () => {
      const slow = { ...huge, refill: { amount: 1, per_seconds: 86_400, mode: 'continuous' as const } };
      await bench().taken({ ...slow, cost: MAX_AMOUNT - 10 });
      const { id } = await bench().taken({ ...slow, cost: 7 });
      await bench().taken({ ...slow, cost: 1 });
      await bench().void(id);
      expect(await bench().used(slow)).toBe(MAX_AMOUNT - 9);
    });
  });
}
