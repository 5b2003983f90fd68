import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_AMOUNT } from '../../schemas/amounts.ts';
import { limit, only, plan, type Workbench } from './workbench.ts';

const SECOND = 1_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const daily = limit({ id: 'daily', capacity: 10, cost: 10, refill: { amount: 10, per_seconds: 86_400 } });
const halfDaily = limit({ ...daily, id: 'half-daily', refill: { amount: 10, per_seconds: 43_200 } });
const steady = limit({ id: 'steady', capacity: 60, refill: { amount: 60, per_seconds: 60, mode: 'continuous' } });

export function describeTime(bench: () => Workbench): void {
  describe('interval refill', () => {
    test('gives the whole amount at the end of an interval that began with the first use', async () => {
      await bench().advance(5 * HOUR);
      await bench().taken({ ...daily, cost: 1 });
      await bench().advance(DAY - HOUR);
      await bench().taken({ ...daily, cost: 9 });
      await bench().advance(HOUR - 1);
      await bench().refused({ ...daily, cost: 1 });
      await bench().advance(1);
      expect(only((await bench().taken(daily)).outcome)).toMatchObject({ before: 0, used: 10 });
    });

    test('a bucket that was full again begins a new interval with its next use', async () => {
      await bench().taken(daily);
      await bench().advance(DAY + 5 * HOUR);
      await bench().taken(daily);
      await bench().advance(DAY - 1);
      await bench().refused(daily);
      await bench().advance(1);
      await bench().taken(daily);
    });

    test('a part of the capacity at a time, and never more than the capacity', async () => {
      const stepwise = limit({ capacity: 10, cost: 10, refill: { amount: 4, per_seconds: 60 } });
      await bench().taken(stepwise);
      const used = [];
      for (let minute = 0; minute < 4; minute++) {
        await bench().advance(60 * SECOND);
        used.push(await bench().used(stepwise));
      }
      expect(used).toEqual([6, 2, 0, 0]);
      await bench().advance(100 * DAY);
      await bench().refused({ ...stepwise, cost: 11 });
    });
  });

  describe('continuous refill', () => {
    test('gives drop by drop, to the millisecond', async () => {
      await bench().taken({ ...steady, cost: 60 });
      await bench().advance(999);
      await bench().refused(steady);
      await bench().advance(1);
      await bench().taken(steady);
      await bench().refused(steady);
    });

    test('loses nothing of a drop between two takes', async () => {
      const odd = limit({ capacity: 1_000, cost: 1_000, refill: { amount: 7, per_seconds: 13, mode: 'continuous' } });
      await bench().taken(odd);
      for (let each = 0; each < 13; each++) {
        await bench().advance(SECOND);
        await bench().take({ ...odd, cost: 0 });
        await bench().take({ ...odd, cost: 1 });
      }
      const events = await bench().events();
      const charged = events.flatMap(({ limits }) => limits).reduce((sum, { amount }) => sum + amount, 0);
      expect(charged - (await bench().used(odd))).toBe(7);
    });

    test('never more than the capacity', async () => {
      await bench().taken({ ...steady, cost: 60 });
      await bench().advance(365 * DAY);
      await bench().taken({ ...steady, cost: 60 });
      await bench().refused(steady);
    });
  });

  describe('C2 the wait that a denial names is honest', () => {
    const rule = fc.record({
      mode: fc.constantFrom('continuous' as const, 'interval' as const),
      amount: fc.integer({ min: 1, max: 50 }),
      per_seconds: fc.integer({ min: 1, max: 4_000 }),
    });

    test('waiting that long makes room, a millisecond less does not', async () => {
      await fc.assert(
        fc.asyncProperty(
          rule,
          fc.array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.nat({ max: 100_000 })), { maxLength: 5 }),
          fc.integer({ min: 1, max: 100 }),
          fc.uuid(),
          async (refill, uses, cost, id) => {
            const bucket = limit({ id, capacity: 100, refill });
            for (const [each, pause] of uses) {
              await bench().take({ ...bucket, cost: each });
              await bench().advance(pause);
            }
            await bench().take({ ...bucket, cost: 100 - (await bench().used(bucket)) });
            const wait = only(await bench().refused({ ...bucket, cost })).retry_after_ms ?? 0;
            await bench().advance(wait - 1);
            await bench().refused({ ...bucket, cost });
            await bench().advance(1);
            await bench().taken({ ...bucket, cost });
          },
        ),
        { numRuns: 60 },
      );
    });

    test('also where amounts add up to more than 2^53', async () => {
      const huge = limit({ capacity: MAX_AMOUNT, refill: { amount: 1, per_seconds: 1, mode: 'continuous' } });
      await bench().taken({ ...huge, cost: MAX_AMOUNT - 1 });
      expect(only(await bench().refused({ ...huge, cost: 3 })).retry_after_ms).toBe(2 * SECOND);
    });

    test('the counter is empty at its reset, and not a millisecond before', async () => {
      for (const bucket of [{ ...steady, cost: 47 }, daily]) {
        const { reset_at } = only((await bench().taken(bucket)).outcome);
        await bench().clock.set(reset_at - 1);
        expect(await bench().used(bucket)).toBeGreaterThan(0);
        await bench().clock.set(reset_at);
        expect(await bench().used(bucket)).toBe(0);
      }
    });
  });

  describe('C3 one clock', () => {
    test.each([
      ['interval', { ...daily, cost: 10 }, DAY],
      ['continuous', { ...steady, cost: 60 }, 60 * SECOND],
    ])('set back, it never refills twice (%s)', async (_, bucket, period) => {
      const start = bench().clock.now();
      await bench().taken(bucket);
      await bench().clock.set(start + period);
      await bench().taken(bucket);
      await bench().clock.set(start);
      await bench().refused({ ...bucket, cost: 1 });
      await bench().clock.set(start + period);
      await bench().refused({ ...bucket, cost: 1 });
      await bench().clock.set(start + 2 * period);
      await bench().taken(bucket);
    });

    test.each([
      ['interval', { ...daily, cost: 10 }, DAY],
      ['continuous', { ...steady, cost: 60 }, 60 * SECOND],
    ])('set back, it freezes a bucket for no longer than the jump (%s)', async (_, bucket, period) => {
      await bench().taken(bucket);
      await bench().advance(-7 * HOUR);
      const wait = only(await bench().refused(bucket)).retry_after_ms ?? 0;
      expect(wait).toBeLessThanOrEqual(7 * HOUR + period);
      await bench().advance(wait);
      await bench().taken(bucket);
    });

    test('set far ahead, it gives one full bucket and no more', async () => {
      for (const bucket of [
        { ...daily, cost: 10 },
        { ...steady, cost: 60 },
      ]) {
        await bench().taken(bucket);
        await bench().advance(3_650 * DAY);
        await bench().taken(bucket);
        await bench().refused({ ...bucket, cost: 1 });
      }
    });

    test('every time that a store gives is its own clock’s', async () => {
      const { at, id } = await bench().taken({ ...steady, settles: true });
      expect(at).toBe(bench().clock.now());
      await bench().advance(HOUR);
      const settled = await bench().settle(id, 3);
      expect(settled).toMatchObject({ at: at + HOUR });
      const events = await bench().events();
      expect(events).toMatchObject([
        { decided_at: at, at },
        { decided_at: at, at: at + HOUR },
      ]);
    });
  });

  describe('C7 over time', () => {
    test('refill pays debt off first', async () => {
      const { id } = await bench().taken({ ...halfDaily, settles: true });
      await bench().settle(id, 25);
      await bench().advance(DAY / 2);
      expect(await bench().used(halfDaily)).toBe(15);
      await bench().refused({ ...halfDaily, cost: 1 });
      await bench().advance(DAY / 2);
      expect(await bench().used(halfDaily)).toBe(5);
      await bench().taken({ ...halfDaily, cost: 5 });
    });

    test('a void after its charge was refilled makes no room that was not there without it', async () => {
      const { id } = await bench().taken({ ...halfDaily, settles: true });
      await bench().advance(DAY / 2);
      await bench().taken(halfDaily);
      expect(await bench().void(id)).toMatchObject({ kind: 'voided' });
      expect(await bench().used(halfDaily)).toBe(10);
      await bench().refused({ ...halfDaily, cost: 1 });
    });

    test('a void after a part of it was refilled gives back the rest', async () => {
      const { id } = await bench().taken({ ...steady, cost: 30, settles: true });
      await bench().advance(10 * SECOND);
      await bench().taken({ ...steady, cost: 25 });
      expect(await bench().used(steady)).toBe(45);
      expect(await bench().void(id)).toMatchObject({ kind: 'voided' });
      expect(await bench().used(steady)).toBe(25);
    });

    test('refill pays the oldest charge first, so a younger one is given back whole', async () => {
      await bench().taken({ ...steady, cost: 30 });
      const { id } = await bench().taken({ ...steady, cost: 20, settles: true });
      await bench().advance(30 * SECOND);
      await bench().settle(id, 1);
      expect(await bench().used(steady)).toBe(1);
    });

    test('what was used above the estimate is charged when it is reported', async () => {
      const { id } = await bench().taken({ ...halfDaily, cost: 4, settles: true });
      await bench().advance(DAY / 2);
      await bench().settle(id, 9);
      expect(await bench().used(halfDaily)).toBe(5);
    });
  });

  test('C8 a changed refill rule gives nothing for the past', async () => {
    const slow = limit({ capacity: 1_001, refill: { amount: 1, per_seconds: 86_400, mode: 'continuous' } });
    await bench().taken({ ...slow, cost: 1_000 });
    await bench().advance(DAY / 2);
    await bench().taken({ ...slow, cost: 1 });
    const quick = limit({ capacity: 1_001, refill: { amount: 1, per_seconds: 1, mode: 'continuous' } });
    expect(await bench().used(quick)).toBeGreaterThanOrEqual(1_000);
  });

  test('several limits are refilled each by its own rule', async () => {
    const wanted = plan({ ...daily, cost: 5 }, { ...steady, cost: 30 });
    await bench().taken(wanted);
    await bench().taken(wanted);
    await bench().advance(30 * SECOND);
    const { limits } = await bench().refused(wanted);
    expect(limits).toMatchObject([
      { id: 'daily', granted: false, used: 10, retry_after_ms: DAY - 30 * SECOND },
      { id: 'steady', granted: true, used: 30, retry_after_ms: 0 },
    ]);
  });
}
