import { describe, expect, test } from 'vitest';
import type { Limit } from '../../schemas/policy-io.ts';
import { calendarWindow, inFlight, limit, only, plan, type Workbench } from './workbench.ts';

const DAY = 86_400_000;

export function describeThresholds(bench: () => Workbench, { settableClock }: { settableClock: boolean }): void {
  const bucket = limit({ capacity: 100, thresholds: [75, 90], refill: { amount: 100 } });
  const crossing = async (what: Limit, cost: number) => only((await bench().taken({ ...what, cost })).outcome).crossed;

  describe('C15 a threshold is announced once', () => {
    test('by the take that reaches it, and by no other', async () => {
      expect(await crossing(bucket, 74)).toEqual([]);
      expect(await crossing(bucket, 1)).toEqual([75]);
      expect(await crossing(bucket, 1)).toEqual([]);
      expect(await crossing(bucket, 14)).toEqual([90]);
      expect(await crossing(bucket, 10)).toEqual([]);
    });

    test('several at once by one take', async () => {
      expect(await crossing(bucket, 95)).toEqual([75, 90]);
    });

    test('of 64 takes at once by one of them', async () => {
      const takes = await Promise.all(
        Array.from({ length: 80 }, () => bench().take({ ...bucket, id: 'many', cost: 1 })),
      );
      const crossed = takes.flatMap((take) => (take.kind === 'taken' ? only(take.outcome).crossed : []));
      expect(crossed).toEqual([75]);
    });

    test('by the report that reaches it, and a report again says so again', async () => {
      const { id } = await bench().taken({ ...bucket, cost: 10, settles: true });
      expect(await bench().settle(id, 80)).toMatchObject({ changes: [{ amount: 70, crossed: [75] }] });
      expect(await bench().settle(id, 80)).toMatchObject({ changes: [{ crossed: [75] }], replayed: true });
      expect(await crossing(bucket, 1)).toEqual([]);
    });

    test('a replay says what the first answer said', async () => {
      const first = await bench().taken({ ...bucket, cost: 80 }, { requestId: 'r' });
      const again = await bench().take({ ...bucket, cost: 80 }, { requestId: 'r' });
      expect(again).toHaveProperty('outcome', first.outcome);
    });

    test('a refusal and a look announce nothing', async () => {
      await bench().taken({ ...bucket, cost: 60 });
      expect(only(await bench().refused({ ...bucket, cost: 50 })).crossed).toEqual([]);
      await bench().peek({ ...bucket, cost: 40 });
      expect(await crossing(bucket, 40)).toEqual([75, 90]);
    });

    test('also above the capacity, where the limit only flags', async () => {
      const soft = { ...bucket, on_exceed: 'flag' as const, thresholds: [100, 150] };
      expect(await crossing(soft, 99)).toEqual([]);
      expect(await crossing(soft, 60)).toEqual([100, 150]);
    });

    test('each limit of a plan by itself', async () => {
      const flying = inFlight({ thresholds: [50] });
      const { outcome } = await bench().taken(plan({ ...bucket, cost: 75 }, flying));
      expect(outcome.limits.map(({ crossed }) => crossed)).toEqual([[75], [50]]);
    });
  });

  if (!settableClock) return;

  describe('C15 and once in each period', () => {
    test('of a window', async () => {
      const daily = calendarWindow({ thresholds: [75] });
      expect(await crossing(daily, 8)).toEqual([75]);
      await bench().advance(DAY);
      expect(await crossing(daily, 7)).toEqual([]);
      expect(await crossing(daily, 1)).toEqual([75]);
    });

    test('of a bucket, which is over when it is full again', async () => {
      expect(await crossing(bucket, 80)).toEqual([75]);
      await bench().advance(DAY);
      expect(await crossing(bucket, 80)).toEqual([75]);
    });
  });
}
