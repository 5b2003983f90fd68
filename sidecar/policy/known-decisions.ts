import type { Decision, Plan } from '../../schemas/policy-io.ts';

/** Of one plan. Most have one or two: granted, and granted above a threshold. */
const MAX_KNOWN = 32;

/**
 * Decisions by the plan that they are of. A remembered plan is one object for as long as it is remembered, so its decisions go
 * with it, and need not be looked up by the whole text that the policy saw, which took as long as the rest of a decision's policy.
 */
export class KnownDecisions {
  readonly #plans = new WeakMap<Plan, OfPlan>();

  /** Those of a plan; `input` is what it was made of. */
  of(plan: Plan, input: string): OfPlan {
    const known = this.#plans.get(plan);
    if (known?.input === input) return known;
    const fresh = new OfPlan(input);
    this.#plans.set(plan, fresh);
    return fresh;
  }
}

class OfPlan {
  readonly input: string;
  readonly #decisions = new Map<string, Decision>();

  constructor(input: string) {
    this.input = input;
  }

  get(band: string): Decision | undefined {
    return this.#decisions.get(band);
  }

  /** Gives it back. */
  add(band: string, decision: Decision): Decision {
    if (this.#decisions.size < MAX_KNOWN) this.#decisions.set(band, decision);
    return decision;
  }
}
