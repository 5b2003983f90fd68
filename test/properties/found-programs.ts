import { MAX_AMOUNT } from '../../schemas/amounts.ts';
import { RECORD_TTL_MS } from '../../sidecar/counters/contract.ts';
import { SETTINGS } from '../helpers/counter-settings.ts';
import type { Definition } from './definition.arbitrary.ts';
import type { Program, Step, TakeStep } from './program.arbitrary.ts';

const definition = (given: Partial<Definition>): Definition => ({
  subject: 0,
  unit: 'tokens',
  capacity: 100,
  costs: [0, 1, 2, 3],
  settles: true,
  billed: false,
  on_exceed: 'deny',
  thresholds: [],
  rule: { kind: 'token_bucket', refill: { amount: 1, per_seconds: 86_400, mode: 'interval' } },
  ...given,
});

const daily = (timezone: string): Definition['rule'] => ({
  kind: 'window',
  window: { period: 'day', reset_time: '00:00', reset_day: 1, timezone },
});

const take = (cost: number, ...common: number[]): TakeStep => ({
  what: 'take',
  tenant: 0,
  cost,
  common,
  candidates: [],
  request: null,
  body: 0,
  gate: null,
  quiet: false,
});

/** `which`: the newest decision is 0. */
const settle = (which: number, tokens: number): Step => ({
  what: 'settle',
  which,
  kind: 'settle',
  actual: { tokens },
  by: 'anybody',
  receipt: false,
  answered: false,
});

const clock = (by: number): Step => ({ what: 'clock', by });
const program = (definitions: Definition[], ...steps: Step[]): Program => ({
  start: Date.parse('2026-01-01T12:00:00Z'),
  definitions,
  steps,
});

/** In which a store once differed from the model, as short as they can be. */
export const FOUND: [what: string, program: Program][] = [
  [
    'what was really used counts in a window although nothing was estimated',
    program([definition({ rule: daily('UTC') })], take(0, 0), settle(0, 5), take(1, 0)),
  ],
  [
    'a window whose time zone was changed ends when it says',
    program(
      [definition({ rule: daily('America/New_York') })],
      take(1, 0),
      { what: 'change', which: 0, to: { rule: daily('UTC') } },
      take(1, 0),
      { what: 'edge', limit: 0, of: 'reset', off: 0 },
      take(1, 0),
    ),
  ],
  [
    'reservations past their 24 hours are in no other one’s way',
    program(
      [definition({})],
      ...Array.from({ length: 20 }, () => take(1, 0)),
      clock(RECORD_TTL_MS - SETTINGS.reservationTtlMs),
      take(1, 0),
      clock(SETTINGS.reservationTtlMs),
      { what: 'expire', limit: 1 },
    ),
  ],
  [
    'percents and thresholds are exact up to the largest amounts',
    program(
      [definition({ capacity: MAX_AMOUNT - 1, costs: [MAX_AMOUNT - 2, 1], thresholds: [100], rule: daily('UTC') })],
      take(0, 0),
      take(1, 0),
    ),
  ],
  [
    'a threshold is announced once, also of a counter that is as high as it can be',
    program(
      [definition({ capacity: MAX_AMOUNT, costs: [1, MAX_AMOUNT - 2], thresholds: [50] })],
      take(0, 0),
      take(0, 0),
      { what: 'change', which: 0, to: { thresholds: [] } },
      take(1, 0),
      settle(2, 5),
      settle(1, 5),
    ),
  ],
];

/** Of two reservations the one that was taken later, by a clock that was set back, is over before. */
export const OVER_BEFORE_ITS_ELDER = program(
  [definition({})],
  take(1, 0),
  clock(-60_000),
  take(1, 0),
  clock(SETTINGS.reservationTtlMs),
  { what: 'expire', limit: 1 },
);
