import fc from 'fast-check';
import { MAX_AMOUNT, MAX_REFILL } from '../../schemas/amounts.ts';
import type { CalendarWindow, Limit, TokenBucket } from '../../schemas/policy-io.ts';

/** What a program knows of one limit: it is made into a limit of some tenant at one of its costs. */
export interface Definition {
  subject: number;
  unit: 'tokens' | 'requests' | 'usd';
  capacity: number;
  costs: number[];
  settles: boolean;
  billed: boolean;
  on_exceed: Limit['on_exceed'];
  thresholds: number[];
  rule:
    | { kind: 'token_bucket'; refill: TokenBucket['refill'] }
    | { kind: 'window'; window: CalendarWindow['window'] }
    | { kind: 'concurrency' };
}

/** Zones whose days have 23, 24 and a half, or 25 hours, or no midnight, and one that is 5:45 from UTC. */
const ZONES = [
  'UTC',
  'Europe/Berlin',
  'Africa/Cairo',
  'America/Santiago',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
  'America/Havana',
  'America/New_York',
];

const smallAmount = fc.integer({ min: 0, max: 60 });

/** Where doubles are about to round. */
const hugeAmount = fc.oneof(
  fc.integer({ min: 0, max: 3 }),
  fc.integer({ min: MAX_AMOUNT - 3, max: MAX_AMOUNT }),
  fc.maxSafeNat(),
);

/** Mostly what is small enough to be used up and given back again and again. */
export const amounts = fc.oneof({ weight: 12, arbitrary: smallAmount }, { weight: 1, arbitrary: hugeAmount });

const mode = fc.constantFrom('continuous' as const, 'interval' as const);

const refills: fc.Arbitrary<TokenBucket['refill']> = fc.oneof(
  {
    // Slow enough that a bucket stays in use over many takes, and a void meets a charge that is paid off in part.
    weight: 6,
    arbitrary: fc.record({
      amount: fc.integer({ min: 1, max: 6 }),
      per_seconds: fc.integer({ min: 20, max: 200 }),
      mode,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      amount: fc.integer({ min: 1, max: 40 }),
      per_seconds: fc.integer({ min: 1, max: 600 }),
      mode,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      amount: fc.integer({ min: 1, max: 100 }),
      per_seconds: fc.constantFrom(3_600, 86_400),
      mode,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      amount: fc.integer({ min: 1, max: MAX_REFILL }),
      per_seconds: fc.integer({ min: 1, max: 10_000_000 }),
      mode,
    }),
  },
);

const windows: fc.Arbitrary<CalendarWindow['window']> = fc
  .record({
    period: fc.constantFrom('day' as const, 'week' as const, 'month' as const),
    reset_time: fc.constantFrom('00:00', '00:00', '02:30', '06:15', '23:59'),
    day: fc.constantFrom(1, 1, 2, 5, 7, 15, 29, 30, 31),
    timezone: fc.constantFrom(...ZONES),
    most: fc.option(amounts),
  })
  .map(({ day, most, period, ...rest }) => ({
    period,
    reset_day: period === 'month' ? day : Math.min(day, 7),
    ...(most !== null && { rollover: { max: most } }),
    ...rest,
  }));

export const rules: fc.Arbitrary<Definition['rule']> = fc.oneof(
  { weight: 3, arbitrary: refills.map((refill) => ({ kind: 'token_bucket' as const, refill })) },
  { weight: 3, arbitrary: windows.map((window) => ({ kind: 'window' as const, window })) },
  { weight: 1, arbitrary: fc.constant({ kind: 'concurrency' as const }) },
);

export const thresholds = fc.constantFrom<number[][]>([], [75, 90], [50], [100, 150], [1, 33, 66, 99, 1_000]);

const small = { capacity: fc.integer({ min: 0, max: 100 }), costs: smallAmount.map((most) => Math.ceil(most / 3)) };
const huge = { capacity: hugeAmount, costs: hugeAmount };

const definitionOf = ({ capacity, costs }: typeof small): fc.Arbitrary<Definition> =>
  fc.record({
    subject: fc.nat({ max: 2 }),
    unit: fc.constantFrom('tokens' as const, 'tokens' as const, 'requests' as const, 'usd' as const),
    capacity,
    costs: fc.array(costs, { minLength: 4, maxLength: 4 }),
    settles: fc.boolean(),
    billed: fc.boolean(),
    on_exceed: fc.constantFrom('deny' as const, 'deny' as const, 'flag' as const),
    thresholds,
    rule: rules,
  });

export const definitions: fc.Arbitrary<Definition> = fc.oneof(
  { weight: 6, arbitrary: definitionOf(small) },
  { weight: 1, arbitrary: definitionOf(huge) },
);
