import type { Candidate, Limit, Plan } from '../../../schemas/policy-io.ts';
import { gateScope } from '../gates.ts';
import { accountOf } from '../keys.ts';

/**
 * Candidates that follow one another in the plan and share with the same account; or, of a plan that names none, its
 * limits alone.
 */
export interface Group {
  /** The place of its first candidate in the whole plan. */
  first: number;
  /** The provider account that has a part in it; undefined if it is all the tenant's. */
  account: string | undefined;
  /** The account's part: its common limits, and each candidate's limits and gates. */
  shared: Plan;
  /** The tenant's part, in the same way. */
  own: Plan;
}

const plans = new WeakMap<Plan, Group[]>();

/** What of a plan is the tenant's and what an account's, in the order in which its candidates take their turn. */
export function splitPlan(plan: Plan): Group[] {
  const known = plans.get(plan);
  if (known) return known;
  const groups = plan.candidates.length ? groupsOf(plan) : [partsOf(plan, accountOfLimits(plan.limits), [], 0)];
  plans.set(plan, groups);
  return groups;
}

/** A group's plan with only the candidates from one on, or with one of them alone. */
export const candidatesFrom = (plan: Plan, first: number): Plan =>
  first === 0 ? plan : { ...plan, candidates: plan.candidates.slice(first) };

export const candidateAlone = (plan: Plan, index: number): Plan =>
  plan.candidates.length <= 1 ? plan : { ...plan, candidates: plan.candidates.slice(index, index + 1) };

/** The ids of the limits that a decision for one candidate draws on, in the order of the plan. */
export const limitIds = ({ candidates, limits }: Plan, candidate: number): string[] =>
  [...limits, ...(candidates[candidate]?.limits ?? [])].map(({ id }) => id);

function groupsOf(plan: Plan): Group[] {
  const runs: { account: string | undefined; first: number; candidates: Candidate[] }[] = [];
  plan.candidates.forEach((candidate, index) => {
    const account = accountOfCandidate(candidate, plan);
    const last = runs.at(-1);
    if (last && last.account === account) last.candidates.push(candidate);
    else runs.push({ account, first: index, candidates: [candidate] });
  });
  return runs.map(({ account, candidates, first }) => partsOf(plan, account, candidates, first));
}

function partsOf(plan: Plan, account: string | undefined, candidates: Candidate[], first: number): Group {
  const part = (isMine: (scope: string) => boolean, isFirst: boolean): Plan => ({
    limits: plan.limits.filter(({ scope }) => isMine(scope)),
    candidates: candidates.map((candidate) => ({
      model: candidate.model,
      limits: candidate.limits.filter(({ scope }) => isMine(scope)),
      gates: isMine(gateScope(candidate, plan)) ? candidate.gates : [],
      scope: gateScope(candidate, plan),
      ...(isFirst && candidate.on && { on: candidate.on }),
    })),
    raw_counters: plan.raw_counters,
  });
  const own = part((scope) => scope === 'tenant', account === undefined);
  return {
    first,
    account,
    shared: part((scope) => scope !== 'tenant', true),
    // Runs are the tenant's.
    own: plan.max_attempts === undefined ? own : { ...own, max_attempts: plan.max_attempts },
  };
}

const accountOfLimits = (limits: Limit[]) => limits.map(({ scope }) => accountOf(scope)).find((account) => account);

/** Only where there is something to ask of it. */
function accountOfCandidate(candidate: Candidate, plan: Plan): string | undefined {
  const shared = accountOfLimits([...plan.limits, ...candidate.limits]);
  return shared ?? (candidate.gates.length ? accountOf(gateScope(candidate, plan)) : undefined);
}
