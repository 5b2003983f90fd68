import type { UsageEvent } from '../../schemas/usage-event.ts';
import type { Change, DecisionRecord, EventSubject, SettleRequest } from '../../sidecar/counters/contract.ts';
import type { CounterModel, ModelGiven } from './counter-model.ts';
import type { ModelOutcome } from './outcome-model.ts';

/** What is remembered of a grant, whether a store keeps a record of it or not. */
export interface Grant {
  id: string;
  event: EventSubject;
  state: DecisionRecord['state'];
  outcome: ModelOutcome;
  given: ModelGiven[];
  fingerprint: string;
  requestKey: string | undefined;
  at: number;
  /** When it expires if nobody settles it; undefined if nothing is to come. */
  openUntil: number | undefined;
  /** Until when a store keeps its record; undefined if it keeps none. */
  keptUntil: number | undefined;
  /** Whether that was reached, and whether a sweep of what is to expire came by since. */
  over: boolean;
  passed: boolean;
  report?: { fingerprint: string; at: number; changes: Change[] };
}

/** What an operation answers, and what it leaves behind. */
export interface Step<Answer> {
  answer: Answer;
  /** `until`: when it may be forgotten; undefined: as before. */
  counters?: [key: string, counter: CounterModel, until: number | undefined][];
  grant?: Grant;
  /** Undefined: the request id may be tried anew. */
  request?: [key: string, id: string | undefined];
  event?: UsageEvent;
}

/** What a take answers; a receipt is the store's own affair. */
export type TakeAnswer =
  | { kind: 'taken' | 'refused'; outcome: ModelOutcome; at: number }
  | { kind: 'replayed'; outcome: ModelOutcome; at: number; decisionId: string; policyRevision: string | undefined }
  | { kind: 'conflict' }
  | { kind: 'closed'; at: number };

export function replay({ at, event, fingerprint, id, outcome }: Grant, asked: string): TakeAnswer {
  if (fingerprint !== asked) return { kind: 'conflict' };
  return { kind: 'replayed', outcome, at, decisionId: id, policyRevision: event.policy_revision };
}

/** The signed change of one charge. What was in flight has landed, unless it is no longer counted since it expired. */
export function changeOf(
  { amount, limit }: ModelGiven,
  { state }: Grant,
  { actual, kind }: SettleRequest,
): bigint | undefined {
  if (limit.kind === 'concurrency') return state === 'expired' ? undefined : -amount;
  if (kind === 'void') return -amount;
  const used = limit.unit === 'concurrent' ? undefined : actual[limit.unit];
  return limit.settles && used !== undefined ? BigInt(used) - amount : undefined;
}
