import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { MAX_AMOUNT, MAX_REFILL } from '../../../schemas/amounts.ts';
import {
  type BucketState,
  type Charge,
  charge,
  giveBack,
  MAX_WAIT_MS,
  refill,
  refillTime,
} from '../../../sidecar/counters/token-bucket.ts';
import { BucketModel, type ModelCharge, type ModelRule } from '../bucket-model.ts';

const START = Date.parse('2026-01-01T00:00:00Z');

type Step =
  | { what: 'take'; cost: number }
  | { what: 'settle'; which: number; actual: number }
  | { what: 'void'; which: number }
  | { what: 'capacity'; capacity: number }
  | { what: 'clock'; by: number };

interface Scale {
  amount: fc.Arbitrary<number>;
  refill: fc.Arbitrary<number>;
  per_seconds: fc.Arbitrary<number>;
  jump: fc.Arbitrary<number>;
}

const small: Scale = {
  amount: fc.integer({ min: 0, max: 60 }),
  refill: fc.integer({ min: 1, max: 40 }),
  per_seconds: fc.integer({ min: 1, max: 100 }),
  jump: fc.integer({ min: -40_000, max: 120_000 }),
};

/** Where doubles are about to round: amounts near 2^53, refills near 2^47, jumps of years. */
const large: Scale = {
  amount: fc.oneof(
    fc.integer({ min: 0, max: 3 }),
    fc.maxSafeNat(),
    fc.integer({ min: MAX_AMOUNT - 3, max: MAX_AMOUNT }),
  ),
  refill: fc.oneof(fc.integer({ min: 1, max: MAX_REFILL }), fc.integer({ min: MAX_REFILL - 3, max: MAX_REFILL })),
  per_seconds: fc.oneof(
    fc.integer({ min: 1, max: 100_000 }),
    fc.integer({ min: 1, max: Math.floor(MAX_REFILL / 1000) }),
  ),
  jump: fc.oneof(fc.integer({ min: -1000, max: 100_000 }), fc.integer({ min: -1e10, max: 1e12 })),
};

const steps = ({ amount, jump }: Scale): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.record({ what: fc.constant('take' as const), cost: amount }) },
      { weight: 2, arbitrary: fc.record({ what: fc.constant('clock' as const), by: jump }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constant('settle' as const), which: fc.nat(9), actual: amount }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constant('void' as const), which: fc.nat(9) }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constant('capacity' as const), capacity: amount }) },
    ),
    { minLength: 20, maxLength: 80 },
  );

const rules = ({ per_seconds, refill: amount }: Scale): fc.Arbitrary<ModelRule> =>
  fc.record({ amount, per_seconds, mode: fc.constantFrom('continuous' as const, 'interval' as const) });

/** The arithmetic as a store uses it, with the model beside it: only what changes is kept, and a full bucket is not. */
class Pair {
  readonly #rule: ModelRule;
  readonly #grants: { real: Charge; model: ModelCharge }[] = [];
  #kept: { real: BucketState | undefined; model: BucketModel };
  #now = START;
  #capacity = 50;

  constructor(rule: ModelRule) {
    this.#rule = rule;
    this.#kept = { real: undefined, model: new BucketModel(rule) };
  }

  do(step: Step): void {
    if (step.what === 'clock') this.#now += step.by;
    if (step.what === 'capacity') this.#capacity = step.capacity;
    if (step.what === 'take') this.#take(step.cost);
    if (step.what === 'settle') this.#settle(step.which, step.actual);
    if (step.what === 'void') this.#settle(step.which, 0);
    this.#current();
  }

  #current(): { real: BucketState; model: BucketModel } {
    const real = refill(this.#kept.real, this.#rule, this.#now);
    const model = this.#kept.model.at(this.#now);
    expect(BigInt(real.used)).toBe(model.used);
    return { real, model };
  }

  #take(cost: number): void {
    const { model, real } = this.#current();
    // Not used + cost − capacity: the sum may be above 2^53, and is rounded then.
    const missing = cost - (this.#capacity - real.used);
    if (missing > 0) {
      if (cost <= this.#capacity) this.#checkWait(cost, missing);
      return;
    }
    const { refilled, since, used } = real;
    this.#grants.push({
      real: { amount: cost, before: used, since, refilled },
      model: model.charge(cost, this.#now),
    });
    this.#keep(charge(real, cost), model);
  }

  #checkWait(cost: number, missing: number): void {
    const { model, real } = this.#current();
    const wait = model.waitUntil(BigInt(this.#capacity) - BigInt(cost), this.#now, MAX_WAIT_MS);
    expect(refillTime(real, this.#rule, this.#now, missing)).toBe(wait);
  }

  /** Each grant is settled or voided once. */
  #settle(which: number, actual: number): void {
    const [grant] = this.#grants.splice(which, 1);
    if (!grant) return;
    const { model, real } = this.#current();
    const change = actual - grant.real.amount;
    if (change > 0) {
      model.charge(change, this.#now);
      this.#keep(charge(real, change), model);
    } else {
      model.giveBack(grant.model, BigInt(-change));
      this.#keep(giveBack(real, grant.real, -change, this.#now), model);
    }
  }

  #keep(real: BucketState, model: BucketModel): void {
    this.#kept = { real: real.used === 0 ? undefined : real, model };
  }
}

describe('the bucket arithmetic equals exact arithmetic', () => {
  let done = 0;

  test.each([
    ['small numbers', small],
    ['numbers near 2^53', large],
  ])('over random takes, settles, voids, clock jumps and capacities: %s', (_, scale) => {
    fc.assert(
      fc.property(rules(scale), steps(scale), (rule, list) => {
        const pair = new Pair(rule);
        for (const step of list) pair.do(step);
        done += list.length;
      }),
      { numRuns: 400, seed: 554108831, endOnFailure: true },
    );
  });

  afterAll(() => {
    expect(done).toBeGreaterThan(10_000);
  });
});

/** What is in use at the end of charges and pauses; the charge at `voided` is given back last. */
function usedAfter(rule: ModelRule, uses: [cost: number, pause: number][], voided: number, skip: boolean): number {
  let state: BucketState | undefined;
  let given: Charge | undefined;
  let now = START;
  for (const [index, [cost, pause]] of uses.entries()) {
    const before = refill(state, rule, now);
    if (index === voided) given = { amount: cost, before: before.used, since: before.since, refilled: before.refilled };
    const after = index === voided && skip ? before : charge(before, cost);
    state = after.used === 0 ? undefined : after;
    now += pause;
  }
  const last = refill(state, rule, now);
  return given && !skip ? giveBack(last, given, given.amount, now).used : last.used;
}

test('a void after a refill makes no room that was not there without the charge', () => {
  const uses = fc.array(fc.tuple(fc.integer({ min: 1, max: 60 }), fc.nat({ max: 60_000 })), { minLength: 1 });
  const rule = fc.record({
    amount: fc.integer({ min: 1, max: 40 }),
    per_seconds: fc.integer({ min: 1, max: 30 }),
    mode: fc.constant('continuous' as const),
  });
  fc.assert(
    fc.property(rule, uses, fc.nat(), (each, list, at) => {
      const voided = at % list.length;
      expect(usedAfter(each, list, voided, false)).toBeGreaterThanOrEqual(usedAfter(each, list, voided, true));
    }),
    { numRuns: 2_000 },
  );
});

test('a changed rule gives at most one token for the past', () => {
  const per_seconds = fc.integer({ min: 1, max: 1_000_000 });
  const before = fc.record({ amount: small.refill, per_seconds, mode: fc.constant('continuous' as const) });
  fc.assert(
    fc.property(before, rules({ ...small, per_seconds }), fc.nat({ max: 1_000_000 }), (old, rule, pause) => {
      const now = START + pause;
      const state = refill(charge(refill(undefined, old, START), 1_000), old, now);
      expect(state.used - refill(state, rule, now).used).toBeLessThanOrEqual(1);
    }),
    { numRuns: 2_000 },
  );
});
