import type { Answer } from '../decision/answer.ts';
import { billed } from '../decision/billed.ts';
import type { LogPolicySource } from './log-policy.ts';

/** One answered decision as it waits to be logged. Text, so that what waits has a known size and nobody changes it. */
export interface Entry {
  /** The policy that answered: its masks apply, also where another one is in force by now. */
  policy: LogPolicySource & { readonly revision: string };
  decisionId: string;
  /** `openclaw/rate_limit/allow` */
  path: string;
  /** JSON text of what the policy saw; undefined where there was none. */
  input: string | undefined;
  /** Of a metered decision: what of the input no policy sees. */
  ids?: { request_id?: string | undefined; run_id?: string | undefined };
  /** JSON text; undefined where the document is. */
  result: string | undefined;
  error?: { code: string; message: string };
  metered?: Metered;
  requestedBy: string | undefined;
  requestNumber: number;
  /** Epoch milliseconds. */
  at: number;
  handlerNs: number;
}

interface Metered {
  pkg: string;
  answer: Answer;
  /** Nothing was taken: a GET, or `?dry_run=true`. */
  dryRun: boolean;
}

/** OPA's decision log event: https://www.openpolicyagent.org/docs/management-decision-logs. `openclaw` is ours. */
export interface DecisionEvent {
  labels: Record<string, string>;
  decision_id: string;
  bundles: Record<string, { revision: string }>;
  path: string;
  input?: unknown;
  result?: unknown;
  error?: { code: string; message?: string };
  /** JSON pointers of what was removed, and of what was replaced. */
  erased?: string[];
  masked?: string[];
  requested_by?: string;
  /** RFC 3339. */
  timestamp: string;
  metrics: Record<string, number>;
  req_id: number;
  openclaw?: MeteredPart;
}

/** What a metered decision came to: names and numbers, as in the usage stream, never a text that a policy made. */
type MeteredPart = ReturnType<typeof meteredPart>;

/** OPA names its bundles in its configuration; the sidecar has one. */
const BUNDLE = 'policy';

/** The event with everything in it: for the policy's `drop` and `mask`, which decide on it. */
export function fullEvent(entry: Entry, labels: Record<string, string>): DecisionEvent {
  const { decisionId, error, ids, input, metered, path, policy, requestedBy, result } = entry;
  return {
    labels,
    decision_id: decisionId,
    bundles: { [BUNDLE]: { revision: metered?.answer.policyRevision ?? policy.revision } },
    path,
    ...(input !== undefined && { input: withIds(JSON.parse(input), ids) }),
    ...(result !== undefined && { result: JSON.parse(result) }),
    ...(error && { error: { ...error } }),
    ...(requestedBy !== undefined && { requested_by: requestedBy }),
    timestamp: new Date(entry.at).toISOString(),
    metrics: { timer_server_handler_ns: entry.handlerNs },
    req_id: entry.requestNumber,
    ...(metered && { openclaw: meteredPart(metered) }),
  };
}

function withIds(input: unknown, ids: Entry['ids']): unknown {
  if (!ids) return input;
  const given = Object.entries(ids).filter(([, id]) => id !== undefined);
  return { ...(input as object), ...Object.fromEntries(given) };
}

function meteredPart({ answer, dryRun, pkg }: Metered) {
  const { decision, outcome } = answer;
  return {
    package: pkg,
    allow: decision.allow,
    reason: decision.reason,
    status: decision.status,
    decided_at: new Date(answer.at).toISOString(),
    billed: billed(answer),
    ...(answer.replayed && { replayed: true }),
    ...(answer.degraded && { degraded: true }),
    ...(dryRun && { dry_run: true }),
    ...(outcome && {
      granted: outcome.granted,
      candidate: outcome.candidate,
      limits: outcome.limits.map(({ id, before, capacity, crossed, granted, on_exceed, over, remaining, used }) => ({
        id,
        on_exceed,
        granted,
        over,
        crossed,
        capacity,
        before,
        used,
        remaining,
      })),
      closed: outcome.closed.map(({ candidate, gate }) => ({ candidate, gate })),
    }),
  };
}
