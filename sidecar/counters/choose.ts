import type { Candidate, Limit, Plan } from '../../schemas/policy-io.ts';

export interface Choice {
  granted: boolean;
  /** The candidate that is taken; undefined if the plan names none or none has room. */
  candidate: Candidate | undefined;
  /** What is charged; of a refusal, what it is reported by: the common limits and the first candidate's. */
  limits: Limit[];
}

/** The first candidate of which every limit, and every limit that all candidates share, grants its cost. */
export function choose(plan: Plan, grants: (limit: Limit) => boolean): Choice {
  const [first] = plan.candidates;
  const granted = plan.limits.every(grants);
  if (!first) return { granted, candidate: undefined, limits: plan.limits };
  const candidate = granted ? plan.candidates.find(({ limits }) => limits.every(grants)) : undefined;
  return {
    granted: candidate !== undefined,
    candidate,
    limits: [...plan.limits, ...(candidate ?? first).limits],
  };
}
