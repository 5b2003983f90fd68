import type { Outcome, Plan } from '../../schemas/policy-io.ts';
import type { Answer } from './answer.ts';

/** What the tenant is billed for an allowed decision, in the unit of its billed limits; 0 for a denial. */
export function billed({ decision, outcome, plan }: Pick<Answer, 'decision' | 'outcome' | 'plan'>): number {
  if (!decision.allow || !plan) return 0;
  return limitsOf(plan, outcome).reduce((sum, limit) => sum + (limit.billed ? limit.cost : 0), 0);
}

/** The common limits and those of the candidate that was chosen. */
function limitsOf({ candidates, limits }: Plan, outcome: Outcome | undefined) {
  const chosen = candidates.find(({ model }) => model === outcome?.candidate);
  return [...limits, ...(chosen?.limits ?? [])];
}
