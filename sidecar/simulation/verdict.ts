import type { Answer } from '../decision/answer.ts';
import { billed } from '../decision/billed.ts';

/** What two policies are compared by: what the caller, and whoever pays, would notice. */
export interface Verdict {
  allow: boolean;
  reason: string;
  status: number;
  /** The candidate that was chosen; null where the plan names none or none had room. */
  candidate: string | null;
  /** What the tenant is billed for, in the unit of the billed limits. */
  billed: number;
}

/** How a candidate's answer differs from the one that was given. */
export const DIFFERENCES = [
  'same',
  'would_deny',
  'would_allow',
  'would_reroute',
  /** Another reason or status, or another amount that is billed. */
  'would_differ',
  /** The candidate fails: `policy_error`. */
  'would_fail',
] as const;

export type Difference = (typeof DIFFERENCES)[number];

export const verdictOf = (answer: Pick<Answer, 'decision' | 'outcome' | 'plan'>): Verdict => ({
  allow: answer.decision.allow,
  reason: answer.decision.reason,
  status: answer.decision.status,
  candidate: answer.outcome?.granted ? answer.outcome.candidate : null,
  billed: billed(answer),
});

/** Of several differences the one that matters most. A policy that fails where the one in force failed too is the same. */
export function differenceOf(given: Verdict, other: Verdict): Difference {
  if (other.reason === 'policy_error' && given.reason !== 'policy_error') return 'would_fail';
  if (given.allow !== other.allow) return other.allow ? 'would_allow' : 'would_deny';
  if (given.allow && given.candidate !== other.candidate) return 'would_reroute';
  const isSame = given.reason === other.reason && given.status === other.status && given.billed === other.billed;
  return isSame ? 'same' : 'would_differ';
}
