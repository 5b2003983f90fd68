import { describe, expect, test } from 'vitest';
import type { CalendarWindow } from '../../schemas/policy-io.ts';
import { calendarWindow, only, type Workbench } from './workbench.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

type Rule = Partial<CalendarWindow['window']>;

const at = (text: string) => Date.parse(text.length > 17 ? text : `${text}Z`);

/** First instants of two days that follow each other, in zones where a day has 23, 24.5 or 25 hours, or no midnight. */
const DAYS: [zone: string, start: string, hours: number][] = [
  ['Europe/Berlin', '2026-03-28T23:00', 23],
  ['Europe/Berlin', '2026-10-24T22:00', 25],
  ['America/New_York', '2026-03-08T05:00', 23],
  ['America/New_York', '2026-11-01T04:00', 25],
  ['Africa/Cairo', '2026-04-23T22:00', 23],
  ['America/Havana', '2026-03-08T05:00', 23],
  ['Asia/Beirut', '2026-03-28T22:00', 23],
  ['America/Santiago', '2026-09-06T04:00', 23],
  ['Australia/Lord_Howe', '2026-04-04T13:00', 24.5],
  ['Asia/Kathmandu', '2025-12-31T18:15', 24],
];

/** Starts of months that do not all have the day that they begin on. */
const MONTHS: [rule: Rule, starts: string[]][] = [
  [{ reset_day: 31 }, ['2026-01-31T00:00', '2026-02-28T00:00', '2026-03-31T00:00', '2026-04-30T00:00']],
  [{ reset_day: 30 }, ['2028-01-30T00:00', '2028-02-29T00:00', '2028-03-30T00:00']],
  [{ reset_day: 1, timezone: 'Europe/Berlin' }, ['2026-02-28T23:00', '2026-03-31T22:00', '2026-04-30T22:00']],
  [{ reset_day: 15, reset_time: '02:30' }, ['2026-01-15T02:30', '2026-02-15T02:30', '2026-03-15T02:30']],
];

export function describeWindows(bench: () => Workbench): void {
  /** The limit is used up before the instant, resets at it, and only there. */
  const resetsAt = async (instant: number, rule: Rule) => {
    const window = calendarWindow({ id: JSON.stringify(rule), window: rule });
    await bench().clock.set(instant - 1);
    await bench().taken({ ...window, cost: only(await bench().peek({ ...window, cost: 0 })).remaining });
    const refused = only(await bench().refused(window));
    expect(refused).toMatchObject({ reset_at: instant, retry_after_ms: 1 });
    await bench().clock.set(instant);
    await bench().taken({ ...window, cost: 10 });
  };

  describe('C9 windows follow the calendar of their time zone', () => {
    test.each(DAYS)('in %s the day from %s has %d hours', async (timezone, start, hours) => {
      const first = at(start);
      await resetsAt(first, { timezone });
      await bench().clock.set(first + hours * HOUR - 1);
      const day = calendarWindow({ id: JSON.stringify({ timezone }), window: { timezone } });
      const last = only(await bench().refused(day));
      expect(last).toMatchObject({ reset_at: first + hours * HOUR, retry_after_ms: 1 });
      await bench().clock.set(first + hours * HOUR);
      expect(await bench().used(day)).toBe(0);
    });

    test.each(MONTHS)('months with %j begin at %j', async (rule, starts) => {
      for (const start of starts) await resetsAt(at(start), { ...rule, period: 'month' });
    });

    test('weeks begin on their day', async () => {
      for (const monday of ['2026-01-05T00:00', '2026-01-12T00:00']) await resetsAt(at(monday), { period: 'week' });
    });

    test('a reset time that a day skips is the first instant after it', async () => {
      await resetsAt(at('2026-03-29T01:00'), { timezone: 'Europe/Berlin', reset_time: '02:30' });
    });

    test('a clock set back by less than an hour keeps the period, and its end', async () => {
      const midnight = at('2026-01-02T00:00');
      await bench().clock.set(midnight);
      await bench().taken({ ...calendarWindow(), cost: 10 });
      await bench().clock.set(midnight - HOUR + 1);
      expect(only(await bench().refused(calendarWindow())).reset_at).toBe(midnight + DAY);
    });

    test('by more it begins the period anew that the clock shows, and what was used stays used', async () => {
      const midnight = at('2026-01-02T00:00');
      await bench().clock.set(midnight);
      await bench().taken({ ...calendarWindow(), cost: 7 });
      await bench().clock.set(midnight - HOUR);
      expect(only(await bench().peek({ ...calendarWindow(), cost: 0 }))).toMatchObject({ used: 7, reset_at: midnight });
      await bench().taken({ ...calendarWindow(), cost: 3 });
      await bench().clock.set(midnight);
      expect(await bench().used(calendarWindow())).toBe(0);
    });

    test('a store whose clock is weeks away from the caller’s finds its own period', async () => {
      await resetsAt(at('2031-05-05T00:00'), {});
      await resetsAt(at('2019-05-05T00:00'), { period: 'month', reset_day: 5 });
    });
  });

  describe('C10 rollover', () => {
    const budget = calendarWindow({ capacity: 50_000, window: { rollover: { max: 20_000 } } });
    const capacity = async (limit: CalendarWindow) => only(await bench().peek({ ...limit, cost: 0 })).capacity;
    const morning = (day: number) => at(`2026-01-0${day}T08:00`);

    test('a first period has none, the next what was left, at most the cap, also after an idle one', async () => {
      await bench().clock.set(morning(1));
      expect(await capacity(budget)).toBe(50_000);
      await bench().taken({ ...budget, cost: 20_000 });
      await bench().clock.set(morning(2));
      expect(await capacity(budget)).toBe(70_000);
      await bench().clock.set(morning(4));
      expect(await capacity(budget)).toBe(70_000);
      await bench().taken({ ...budget, cost: 70_000 });
      expect(await bench().refused(budget)).toMatchObject({ granted: false });
      await bench().clock.set(morning(5));
      expect(await capacity(budget)).toBe(50_000);
    });

    test('less than the cap is carried as it is, and what was carried and not used is carried on', async () => {
      const small = calendarWindow({ capacity: 10, window: { rollover: { max: 100 } } });
      await bench().clock.set(morning(1));
      await bench().taken({ ...small, cost: 4 });
      await bench().clock.set(morning(2));
      expect(await capacity(small)).toBe(16);
      await bench().taken({ ...small, cost: 1 });
      await bench().clock.set(morning(5));
      expect(await capacity(small)).toBe(45);
    });

    test('over months of 28 to 31 days, each idle one counts once', async () => {
      const monthly = calendarWindow({
        capacity: 10,
        window: { period: 'month', reset_day: 31, rollover: { max: 1_000 } },
      });
      await bench().clock.set(at('2026-01-31T08:00'));
      await bench().taken({ ...monthly, cost: 10 });
      await bench().clock.set(at('2027-01-31T08:00'));
      expect(await capacity(monthly)).toBe(10 + 11 * 10);
    });

    test('debt carries nothing over', async () => {
      await bench().clock.set(morning(1));
      const { id } = await bench().taken({ ...budget, cost: 10, settles: true });
      await bench().settle(id, 90_000);
      await bench().clock.set(morning(2));
      expect(await capacity(budget)).toBe(50_000);
    });
  });

  describe('a report moves the period that it belongs to', () => {
    test('in the same period, up and down', async () => {
      const { id } = await bench().taken({ ...calendarWindow(), cost: 4, settles: true });
      await bench().settle(id, 9);
      expect(await bench().used(calendarWindow())).toBe(9);
      const other = await bench().taken({ ...calendarWindow(), cost: 1 }, { requestId: 'r' });
      await bench().void(other.id);
      expect(await bench().used(calendarWindow())).toBe(9);
    });

    test('and not the one after it', async () => {
      await bench().clock.set(at('2026-01-01T23:00'));
      const late = await bench().taken({ ...calendarWindow(), cost: 4, settles: true });
      const gone = await bench().taken({ ...calendarWindow(), cost: 4 }, { requestId: 'r' });
      await bench().clock.set(at('2026-01-02T01:00'));
      await bench().taken({ ...calendarWindow(), cost: 5 });
      await bench().settle(late.id, 9);
      await bench().void(gone.id);
      expect(await bench().used(calendarWindow())).toBe(5);
    });
  });

  test('C8 a changed capacity holds from the next take, and what was used stays used', async () => {
    await bench().taken({ ...calendarWindow(), cost: 8 });
    expect(only(await bench().refused(calendarWindow({ capacity: 5 })))).toMatchObject({ used: 8, remaining: 0 });
    await bench().taken({ ...calendarWindow({ capacity: 20 }), cost: 12 });
  });

  test('a limit that becomes one of another kind begins anew', async () => {
    await bench().taken({ ...calendarWindow({ id: 'same' }), cost: 10 });
    expect(await bench().used({ ...calendarWindow({ id: 'same' }), kind: 'concurrency' } as never)).toBe(0);
  });
}
