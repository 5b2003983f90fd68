import fc from 'fast-check';
import { DateTime } from 'luxon';
import { describe, expect, test } from 'vitest';
import { type BillingCycle, tenantsSchema } from '../schemas/config/tenants.ts';
import { fullLength } from '../test/helpers/full-length.ts';
import { billingCycleOf, cycleAt, dayAt } from './cycles.ts';

const HOUR = 3_600_000;
const month = (anchor_day: number, timezone = 'UTC'): BillingCycle => ({ period: 'month', anchor_day, timezone });
const week = (anchor_day: number, timezone = 'UTC'): BillingCycle => ({ period: 'week', anchor_day, timezone });
const shown = (instant: string, cycle: BillingCycle) => {
  const { start, end } = cycleAt(Date.parse(instant), cycle);
  return [new Date(start).toISOString(), new Date(end).toISOString()];
};

/** The zones of the property: whole, half and quarter hours, changes at midnight, at 2:00, and a whole day skipped. */
const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Africa/Cairo',
  'America/Havana',
  'Asia/Beirut',
  'America/Santiago',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
  'America/St_Johns',
  'Pacific/Apia',
];

describe('months', () => {
  test('a short month ends on its last day, and the anchor is kept for the next', () => {
    const starts = ['2026-01-31', '2026-02-28', '2026-03-31', '2026-04-30', '2026-05-31'];
    for (const [i, start] of starts.slice(0, -1).entries()) {
      const expected = [`${start}T00:00:00.000Z`, `${starts[i + 1]}T00:00:00.000Z`];
      expect(shown(`${start}T00:00:00Z`, month(31))).toEqual(expected);
      expect(shown(new Date(Date.parse(expected[1] as string) - 1).toISOString(), month(31))).toEqual(expected);
    }
  });

  test('29 February where there is one', () => {
    expect(shown('2028-02-29T12:00:00Z', month(30))).toEqual(['2028-02-29T00:00:00.000Z', '2028-03-30T00:00:00.000Z']);
    expect(shown('2100-02-28T12:00:00Z', month(29))).toEqual(['2100-02-28T00:00:00.000Z', '2100-03-29T00:00:00.000Z']);
    expect(shown('2000-02-29T00:00:00Z', month(29))).toEqual(['2000-02-29T00:00:00.000Z', '2000-03-29T00:00:00.000Z']);
  });

  test('the day before the anchor belongs to the month before, over a new year too', () => {
    expect(shown('2026-01-14T23:59:59.999Z', month(15))).toEqual([
      '2025-12-15T00:00:00.000Z',
      '2026-01-15T00:00:00.000Z',
    ]);
  });

  test('midnight is that of the zone', () => {
    expect(shown('2026-03-31T22:00:00Z', month(1, 'Europe/Berlin'))).toEqual([
      '2026-03-31T22:00:00.000Z',
      '2026-04-30T22:00:00.000Z',
    ]);
    expect(shown('2025-12-31T18:15:00Z', month(1, 'Asia/Kathmandu'))[0]).toBe('2025-12-31T18:15:00.000Z');
    expect(shown('2025-12-31T18:14:59.999Z', month(1, 'Asia/Kathmandu'))[1]).toBe('2025-12-31T18:15:00.000Z');
  });
});

describe('quarters and years', () => {
  const quarter = (anchor_month: number, anchor_day = 1): BillingCycle => ({
    period: 'quarter',
    anchor_day,
    anchor_month,
    timezone: 'UTC',
  });
  const year = (anchor_month: number, anchor_day = 1): BillingCycle => ({
    period: 'year',
    anchor_day,
    anchor_month,
    timezone: 'UTC',
  });

  test.each([
    ['2026-05-15T00:00:00Z', quarter(1), '2026-04-01', '2026-07-01'],
    ['2026-01-31T23:59:59.999Z', quarter(2), '2025-11-01', '2026-02-01'],
    ['2026-02-01T00:00:00Z', quarter(2), '2026-02-01', '2026-05-01'],
    ['2026-02-28T00:00:00Z', quarter(2, 31), '2026-02-28', '2026-05-31'],
    ['2026-02-27T23:59:59.999Z', quarter(2, 31), '2025-11-30', '2026-02-28'],
    ['2026-12-31T00:00:00Z', quarter(3, 31), '2026-12-31', '2027-03-31'],
    ['2026-12-31T23:59:59.999Z', year(1), '2026-01-01', '2027-01-01'],
    ['2026-03-31T00:00:00Z', year(4), '2025-04-01', '2026-04-01'],
    ['2026-04-01T00:00:00Z', year(4), '2026-04-01', '2027-04-01'],
    ['2028-02-29T00:00:00Z', year(2, 29), '2028-02-29', '2029-02-28'],
    ['2028-02-28T23:59:59.999Z', year(2, 30), '2027-02-28', '2028-02-29'],
    ['2026-12-30T00:00:00Z', year(12, 31), '2025-12-31', '2026-12-31'],
  ] as const)('%s of %j: %s to %s', (instant, cycle, start, end) => {
    expect(shown(instant, cycle)).toEqual([`${start}T00:00:00.000Z`, `${end}T00:00:00.000Z`]);
  });

  test('begin at the midnight of their zone, on both sides of a clock change', () => {
    const berlin: BillingCycle = { ...quarter(1), timezone: 'Europe/Berlin' };
    expect(shown('2026-01-15T00:00:00Z', berlin)).toEqual(['2025-12-31T23:00:00.000Z', '2026-03-31T22:00:00.000Z']);
  });
});

/** Measured with another implementation of the time zone database. */
const DAY_STARTS: [zone: string, date: string, start: string, hours: number][] = [
  ['Europe/Berlin', '2026-03-29', '2026-03-28T23:00:00.000Z', 23],
  ['Europe/Berlin', '2026-10-25', '2026-10-24T22:00:00.000Z', 25],
  ['America/New_York', '2026-03-08', '2026-03-08T05:00:00.000Z', 23],
  ['America/New_York', '2026-11-01', '2026-11-01T04:00:00.000Z', 25],
  ['Africa/Cairo', '2026-04-24', '2026-04-23T22:00:00.000Z', 23],
  ['America/Havana', '2026-03-08', '2026-03-08T05:00:00.000Z', 23],
  ['Asia/Beirut', '2026-03-29', '2026-03-28T22:00:00.000Z', 23],
  ['America/Santiago', '2026-09-06', '2026-09-06T04:00:00.000Z', 23],
  ['Australia/Lord_Howe', '2026-04-05', '2026-04-04T13:00:00.000Z', 24.5],
  ['Asia/Kathmandu', '2026-01-01', '2025-12-31T18:15:00.000Z', 24],
  // Set back from 01:00 to 00:00, so midnight comes twice: the day begins with the first.
  ['America/Havana', '2026-11-01', '2026-11-01T04:00:00.000Z', 25],
];

describe('a cycle that begins on a day of a clock change', () => {
  test.each(DAY_STARTS)('%s %s begins at %s', (zone, date, start, hours) => {
    const anchor = Number(date.slice(8));
    expect(shown(start, month(anchor, zone))[0]).toBe(start);
    expect(cycleAt(Date.parse(start) - 1, month(anchor, zone)).end).toBe(Date.parse(start));
    const nextDay = new Date(Date.parse(`${date}T00:00:00Z`) + 24 * HOUR).getUTCDate();
    expect(cycleAt(Date.parse(start) + 40 * HOUR, month(nextDay, zone)).start - Date.parse(start)).toBe(hours * HOUR);
  });
});

describe('weeks', () => {
  test('begin on the ISO weekday', () => {
    expect(shown('2026-01-07T12:00:00Z', week(1))).toEqual(['2026-01-05T00:00:00.000Z', '2026-01-12T00:00:00.000Z']);
    expect(shown('2026-01-07T12:00:00Z', week(7))).toEqual(['2026-01-04T00:00:00.000Z', '2026-01-11T00:00:00.000Z']);
    expect(shown('2026-01-07T00:00:00Z', week(3))).toEqual(['2026-01-07T00:00:00.000Z', '2026-01-14T00:00:00.000Z']);
  });

  test('are an hour shorter or longer where a clock change falls into them', () => {
    const spring = cycleAt(Date.parse('2026-03-29T12:00:00Z'), week(1, 'Europe/Berlin'));
    const autumn = cycleAt(Date.parse('2026-10-25T12:00:00Z'), week(1, 'Europe/Berlin'));
    expect([spring, autumn].map(({ start, end }) => (end - start) / HOUR)).toEqual([167, 169]);
  });
});

/** Days that months may lack come as often as the others. */
const anyDay = fc.oneof(fc.integer({ min: 1, max: 31 }), fc.constantFrom(29, 30, 31));
const anyZone = fc.constantFrom(...ZONES);
const monthOf = (months: number) => fc.integer({ min: 1, max: months });
const anyCycle: fc.Arbitrary<BillingCycle> = fc.oneof(
  fc.record({ period: fc.constant('month' as const), anchor_day: anyDay, timezone: anyZone }),
  fc.record({ period: fc.constant('week' as const), anchor_day: fc.integer({ min: 1, max: 7 }), timezone: anyZone }),
  fc.record({
    period: fc.constant('quarter' as const),
    anchor_day: anyDay,
    anchor_month: monthOf(3),
    timezone: anyZone,
  }),
  fc.record({ period: fc.constant('year' as const), anchor_day: anyDay, anchor_month: monthOf(12), timezone: anyZone }),
);
/** The least and most days that a period may have, with an hour or a day that a zone skipped. */
const DAYS = { week: [5.8, 7.2], month: [27.8, 31.2], quarter: [88.8, 93.2], year: [363.8, 366.2] } as const;
const anyInstant = fc.integer({ min: Date.parse('1990-01-01T00:00:00Z'), max: Date.parse('2100-01-01T00:00:00Z') });

describe('any cycle', () => {
  test('tiles time: what ends, another begins, and both agree on every instant around', () => {
    fc.assert(
      fc.property(anyInstant, anyCycle, (instant, config) => {
        const cycle = cycleAt(instant, config);
        expect(cycle.start).toBeLessThanOrEqual(instant);
        expect(instant).toBeLessThan(cycle.end);
        const before = cycleAt(cycle.start - 1, config);
        const after = cycleAt(cycle.end, config);
        expect(before.end).toBe(cycle.start);
        expect(after.start).toBe(cycle.end);
        const days = (cycle.end - cycle.start) / (24 * HOUR);
        expect(days).toBeGreaterThan(DAYS[config.period][0]);
        expect(days).toBeLessThan(DAYS[config.period][1]);
        for (const inside of [cycle.start, cycle.end - 1]) expect(cycleAt(inside, config)).toEqual(cycle);
      }),
      { numRuns: fullLength ? 10_000 : 4_000 },
    );
  });

  test('begins on its anchor, at the first instant of that date', () => {
    fc.assert(
      fc.property(anyInstant, anyCycle, (instant, config) => {
        const { start } = cycleAt(instant, config);
        const begin = DateTime.fromMillis(start, { zone: config.timezone });
        const eve = DateTime.fromMillis(start - 1, { zone: config.timezone });
        expect(eve.toISODate()).not.toBe(begin.toISODate());
        // Samoa had no 30 December 2011: a cycle anchored there begins with the 31st.
        if (begin.toISODate() === '2011-12-31' && config.timezone === 'Pacific/Apia') return;
        if (config.period === 'week') expect(begin.weekday).toBe(config.anchor_day);
        else expect(begin.day).toBe(Math.min(config.anchor_day, begin.daysInMonth as number));
        if (config.period === 'quarter') expect(begin.month % 3).toBe(config.anchor_month % 3);
        if (config.period === 'year') expect(begin.month).toBe(config.anchor_month);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the day of an instant', () => {
  test('is that of its zone', () => {
    const instant = Date.parse('2026-01-31T23:30:00Z');
    expect([dayAt(instant, 'UTC').date, dayAt(instant, 'Europe/Berlin').date]).toEqual(['2026-01-31', '2026-02-01']);
  });

  test.each(DAY_STARTS)('%s %s begins at %s', (zone, date, start, hours) => {
    const day = { date, start: Date.parse(start), end: Date.parse(start) + hours * HOUR };
    expect([dayAt(day.start, zone), dayAt(day.end - 1, zone)]).toEqual([day, day]);
    expect(dayAt(day.start - 1, zone).end).toBe(day.start);
  });

  test('lies within one cycle', () => {
    fc.assert(
      fc.property(anyInstant, anyCycle, (instant, config) => {
        const day = dayAt(instant, config.timezone);
        expect(day.start <= instant && instant < day.end).toBe(true);
        expect(cycleAt(day.start, config)).toEqual(cycleAt(day.end - 1, config));
      }),
      { numRuns: 2000 },
    );
  });
});

test('a tenant has its own cycle or the default, whatever it is called', () => {
  const tenants = tenantsSchema.parse({
    defaults: { capacity: 1, refill: 'daily', price_per_token: '0.1', billing_cycle: { period: 'month' } },
    tenants: { acme: { billing_cycle: { period: 'week', anchor_day: 3 } }, globex: {} },
  });
  expect(billingCycleOf(tenants, 'acme')).toEqual(week(3));
  for (const other of ['globex', 'unknown', '__proto__', 'constructor']) {
    expect(billingCycleOf(tenants, other)).toEqual(month(1));
  }
});
