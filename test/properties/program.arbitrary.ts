import fc from 'fast-check';
import { RECORD_TTL_MS } from '../../sidecar/counters/contract.ts';
import { SETTINGS } from '../helpers/counter-settings.ts';
import { amounts, type Definition, definitions, rules, thresholds } from './definition.arbitrary.ts';
import { longFirst } from './long-first.arbitrary.ts';

/** What a plan draws on: limits by the numbers of their definitions. */
export interface Draw {
  tenant: number;
  cost: number;
  common: number[];
  candidates: { limits: number[]; gates: number[]; on: string[] | null }[];
}

export interface TakeStep extends Draw {
  what: 'take';
  /** A request id, and which of two bodies comes with it. */
  request: number | null;
  body: number;
  /** The gate of the key that asks. */
  gate: number | null;
  quiet: boolean;
}

export type Step =
  | TakeStep
  | { what: 'batch'; takes: TakeStep[] }
  | (Draw & { what: 'peek' })
  | {
      what: 'settle';
      /** Of the decisions so far, the newest first; -1: one that there never was. */
      which: number;
      kind: 'settle' | 'void';
      actual: { tokens?: number; requests?: number; usd?: number };
      /** Who reports: nobody in particular, the decision's tenant, another one. */
      by: 'anybody' | 'own' | 'other';
      receipt: boolean;
      answered: boolean;
    }
  /** A report that was made before, the newest first. */
  | { what: 'again'; which: number }
  | { what: 'expire'; limit: number }
  | { what: 'record'; which: number }
  | { what: 'deny'; tenant: number; count: number | null }
  | { what: 'gate'; tenant: number; name: number; closedFor: number | 'for good' | null }
  | { what: 'clock'; by: number }
  /** To when a limit of the last answer is empty again, or has room, or a bit beside it. */
  | { what: 'edge'; limit: number; of: 'reset' | 'retry'; off: number }
  /** How far the clock of the process that asks is from the store's. */
  | { what: 'skew'; by: number }
  | { what: 'change'; which: number; to: Partial<Definition> };

export interface Program {
  start: number;
  definitions: Definition[];
  steps: Step[];
}

const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 86_400_000];
const LIMITS = 9;
const TENANTS = 3;
const GATES = 4;

const one = <Value>(value: Value) => fc.constant(value);
const numbers = (max: number, maxLength: number) => fc.uniqueArray(fc.nat({ max }), { maxLength });
/** A few are drawn on again and again, so that charges lie upon charges. */
const oftenFirst = (max: number, first: number) =>
  fc.oneof({ weight: 3, arbitrary: fc.nat({ max: first }) }, { weight: 1, arbitrary: fc.nat({ max }) });
const limitNumbers = (maxLength: number) => fc.uniqueArray(oftenFirst(LIMITS - 1, 2), { maxLength });
/** Mostly a recent one. */
const recent = fc.oneof({ weight: 4, arbitrary: fc.nat({ max: 4 }) }, { weight: 1, arbitrary: fc.nat({ max: 60 }) });

const draw = {
  tenant: oftenFirst(TENANTS - 1, 0),
  cost: fc.nat({ max: 3 }),
  common: limitNumbers(3),
  candidates: fc.oneof(
    { weight: 3, arbitrary: one([]) },
    {
      weight: 2,
      arbitrary: fc.array(
        fc.record({
          limits: limitNumbers(2),
          gates: numbers(GATES - 1, 1),
          on: fc.option(fc.subarray(['budget', 'other', 'rate_limit']), { freq: 1 }),
        }),
        {
          minLength: 1,
          maxLength: 3,
        },
      ),
    },
  ),
};

const takes: fc.Arbitrary<TakeStep> = fc.record({
  what: one('take' as const),
  ...draw,
  request: fc.option(fc.nat({ max: 9 }), { freq: 3 }),
  body: fc.constantFrom(0, 0, 0, 1),
  gate: fc.option(fc.nat({ max: GATES - 1 }), { freq: 1 }),
  quiet: fc.constantFrom(false, false, false, true),
});

const settles = fc.record({
  what: one('settle' as const),
  which: fc.oneof({ weight: 20, arbitrary: recent }, { weight: 1, arbitrary: one(-1) }),
  kind: fc.constantFrom('settle' as const, 'settle' as const, 'void' as const),
  actual: fc.record({ tokens: amounts, requests: amounts, usd: amounts }, { requiredKeys: [] }),
  by: fc.constantFrom('anybody' as const, 'own' as const, 'own' as const, 'other' as const),
  receipt: fc.boolean(),
  answered: fc.boolean(),
});

const jumps = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 1, max: 3 * SECOND }) },
  { weight: 12, arbitrary: fc.integer({ min: 1, max: 2 * MINUTE }) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 10 * MINUTE }) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 30 * HOUR }) },
  { weight: 2, arbitrary: fc.constantFrom(SETTINGS.reservationTtlMs, RECORD_TTL_MS, RECORD_TTL_MS - 1, HOUR, DAY) },
  { weight: 1, arbitrary: fc.integer({ min: DAY, max: 70 * DAY }) },
  { weight: 2, arbitrary: fc.integer({ min: -2 * MINUTE, max: -1 }) },
  { weight: 1, arbitrary: fc.integer({ min: -3 * HOUR, max: -1 }) },
  { weight: 1, arbitrary: fc.integer({ min: -4 * DAY, max: -1 }) },
);

const changes: fc.Arbitrary<Partial<Definition>> = fc.oneof(
  fc.record({ capacity: amounts }),
  fc.record({ rule: rules }),
  fc.record({ thresholds }),
  definitions,
);

const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 40, arbitrary: takes },
  {
    weight: 3,
    arbitrary: fc.record({ what: one('batch' as const), takes: fc.array(takes, { minLength: 2, maxLength: 16 }) }),
  },
  { weight: 4, arbitrary: fc.record({ what: one('peek' as const), ...draw }) },
  { weight: 20, arbitrary: settles },
  { weight: 3, arbitrary: fc.record({ what: one('again' as const), which: recent }) },
  { weight: 4, arbitrary: fc.record({ what: one('expire' as const), limit: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 2, arbitrary: fc.record({ what: one('record' as const), which: recent }) },
  {
    weight: 1,
    arbitrary: fc.record({
      what: one('deny' as const),
      tenant: draw.tenant,
      count: fc.option(fc.integer({ min: 1, max: 99 })),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      what: one('gate' as const),
      tenant: draw.tenant,
      name: fc.nat({ max: GATES - 1 }),
      closedFor: fc.oneof(
        fc.integer({ min: 10 * MINUTE, max: 3 * HOUR }),
        one('for good' as const),
        one(null),
        one(null),
      ),
    }),
  },
  { weight: 14, arbitrary: fc.record({ what: one('clock' as const), by: jumps }) },
  {
    weight: 5,
    arbitrary: fc.record({
      what: one('edge' as const),
      limit: fc.nat({ max: 4 }),
      of: fc.constantFrom('reset' as const, 'retry' as const),
      off: fc.constantFrom(-1, 0, 0, 1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: one('skew' as const), by: fc.oneof(one(0), jumps) }) },
  {
    weight: 3,
    arbitrary: fc.record({ what: one('change' as const), which: fc.nat({ max: LIMITS - 1 }), to: changes }),
  },
);

/** Programs of so many steps; a failing one is made shorter. */
export const programs = (length: number): fc.Arbitrary<Program> =>
  fc.record({
    // First, so that steps are left out before anything else is made smaller: they are many.
    steps: longFirst(steps, length),
    definitions: fc.array(definitions, { minLength: LIMITS, maxLength: LIMITS }),
    start: fc.integer({ min: Date.parse('2026-01-01T00:00:00Z'), max: Date.parse('2027-01-01T00:00:00Z') }),
  });
