import type { Decision, Outcome, Plan } from '../../schemas/policy-io.ts';

/** What came of a request to a metered package. A denial is an answer like any other. */
export interface Answer {
  decisionId: string;
  decision: Decision;
  /** Undefined where nothing could be counted: refused by the plan, a failed policy, an unreachable store. */
  outcome: Outcome | undefined;
  /** Ids of the limits that decided, where the policy says so. */
  about?: readonly string[] | undefined;
  plan: Plan | undefined;
  /** The same request id was granted before; this is its answer again. */
  replayed: boolean;
  /** Decided while the store was away, by `ON_STORE_FAILURE=allow`: as if there were room, without a number. */
  degraded?: boolean;
  /** Why the policy or the store failed, where that is the reason of the denial. For the log, not for the caller. */
  failure?: Error;
  policyRevision: string;
  /** The store's time; the sidecar's where the store was not asked. */
  at: number;
}
