import type { Candidate, ClosedGate, Limit, Plan } from '../../schemas/policy-io.ts';

export interface Choice {
  granted: boolean;
  /** The candidate that is taken; undefined if the plan names none or none has room. */
  candidate: Candidate | undefined;
  /** What is charged; of a refusal, what it is reported by: the common limits and the first candidate's. */
  limits: Limit[];
  /** The gates for which candidates were passed over. */
  closed: ClosedGate[];
}

/**
 * The first candidate whose gates are open and of which every limit, and every limit that all candidates share, grants
 * its cost. `closedGates` are those of a candidate that are closed now.
 */
export function choose(
  plan: Plan,
  grants: (limit: Limit) => boolean,
  closedGates: (candidate: Candidate) => ClosedGate[],
): Choice {
  const [first] = plan.candidates;
  const granted = plan.limits.every(grants);
  if (!first) return { granted, candidate: undefined, limits: plan.limits, closed: [] };
  const closed: ClosedGate[] = [];
  const isTaken = (candidate: Candidate) => {
    const gates = closedGates(candidate);
    closed.push(...gates);
    return granted && gates.length === 0 && candidate.limits.every(grants);
  };
  const candidate = plan.candidates.find(isTaken);
  return {
    granted: candidate !== undefined,
    candidate,
    limits: [...plan.limits, ...(candidate ?? first).limits],
    closed,
  };
}
