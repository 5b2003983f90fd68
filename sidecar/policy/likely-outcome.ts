import type { Outcome, Plan } from '../../schemas/policy-io.ts';

/** What a policy sees of an outcome: bands, not numbers, so that its answer can be remembered. */
export type Bands = Pick<Outcome, 'granted' | 'candidate'> & {
  closed: Pick<Outcome['closed'][number], 'candidate' | 'gate'>[];
  limits: Pick<Outcome['limits'][number], 'id' | 'granted' | 'over' | 'crossed' | 'on_exceed'>[];
};

/**
 * What most plans come to, before anything was taken: room everywhere, nothing crossed. Undefined where something is to choose, or the
 * policy sees numbers. `plan` may be as the policy wrote it, without what its schema adds.
 */
export function likelyOutcome({ candidates, limits, raw_counters, refuse }: Partial<Plan>): Bands | undefined {
  if (refuse || raw_counters || candidates?.length || !Array.isArray(limits)) return undefined;
  return {
    granted: true,
    candidate: null,
    closed: [],
    limits: limits.map(({ id, on_exceed = 'deny' }) => ({ id, granted: true, over: false, crossed: [], on_exceed })),
  };
}

/** The input of a decision: that of its plan, and the outcome. Both are JSON text. */
export const withOutcome = (input: string, outcome: string): string =>
  `${input.slice(0, -1)}${input === '{}' ? '' : ','}"outcome":${outcome}}`;
