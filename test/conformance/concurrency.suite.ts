import { describe, expect, test } from 'vitest';
import { calendarWindow, inFlight, only, plan, type Workbench } from './workbench.ts';

export function describeConcurrency(bench: () => Workbench): void {
  describe('a concurrency limit counts what is in flight', () => {
    test('as many as it has room for, and one more when one has landed', async () => {
      const first = await bench().taken(inFlight());
      await bench().taken(inFlight());
      expect(only(await bench().refused(inFlight()))).toMatchObject({ used: 2, remaining: 0, retry_after_ms: 1_000 });
      await bench().settle(first.id, 0);
      await bench().taken(inFlight());
      expect(await bench().used(inFlight())).toBe(2);
    });

    test('a call that failed has landed as well', async () => {
      const { id } = await bench().taken(inFlight());
      await bench().void(id);
      expect(await bench().used(inFlight())).toBe(0);
    });

    test('and lands once, however often it is reported', async () => {
      const { id } = await bench().taken(inFlight());
      await bench().taken(inFlight());
      await bench().settle(id, 5);
      await bench().settle(id, 5);
      expect(await bench().used(inFlight())).toBe(1);
    });

    test('a report of tokens settles the budget beside it and lets the call land', async () => {
      const { id } = await bench().taken(plan(inFlight(), calendarWindow({ cost: 3, settles: true })));
      const { changes } = (await bench().settle(id, 7)) as { changes: unknown };
      expect(changes).toEqual([
        { id: 'in flight', unit: 'concurrent', amount: -1 },
        { id: 'window', unit: 'tokens', amount: 4 },
      ]);
      expect(await bench().used(inFlight())).toBe(0);
      expect(await bench().used(calendarWindow())).toBe(7);
    });

    test('of 64 at once no more than fit', async () => {
      const results = await Promise.all(Array.from({ length: 64 }, () => bench().take(inFlight({ capacity: 10 }))));
      expect(results.filter(({ kind }) => kind === 'taken')).toHaveLength(10);
    });

    test('a cost above the capacity never fits', async () => {
      expect(only(await bench().refused(inFlight({ cost: 3 }))).retry_after_ms).toBeNull();
    });
  });
}
