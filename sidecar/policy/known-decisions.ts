import type { Decision, Plan } from '../../schemas/policy-io.ts';

/** Of one plan. Most have one or two: granted, and granted above a threshold. */
const MAX_KNOWN = 32;

/**
 * Decisions by the plan that they are of. A plan is of one input, and one object for as long as it is remembered, so its decisions go
 * with it, and need not be looked up by the whole text that the policy saw, which took as long as the rest of a decision's policy.
 */
export class KnownDecisions {
  readonly #plans = new WeakMap<Plan, Map<string, Decision>>();

  /** `band`: what a policy sees of the outcome. */
  get(plan: Plan, band: string): Decision | undefined {
    return this.#plans.get(plan)?.get(band);
  }

  /** Gives it back. */
  add(plan: Plan, band: string, decision: Decision): Decision {
    const known = this.#plans.get(plan) ?? new Map<string, Decision>();
    if (known.size < MAX_KNOWN) known.set(band, decision);
    this.#plans.set(plan, known);
    return decision;
  }
}
