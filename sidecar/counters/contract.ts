import type { Failure } from '../../schemas/failures.ts';
import type { Limit, Outcome, Plan, Scope } from '../../schemas/policy-io.ts';
import type { Usage, UsageEvent } from '../../schemas/usage-event.ts';
import type { ApiKeyStore, AuditEntry } from './api-keys.ts';
import type { BudgetGrant, BudgetGrants } from './budget-grant.ts';
import type { ModelHealth, ProviderHealth, ProviderOutcome, ProviderRules } from './provider-health.ts';

/** What every store is told of how to count. */
export interface CounterSettings {
  /** How long a reservation may stay unsettled before it expires. */
  reservationTtlMs: number;
  /** How long anybody waits for an answer: a take that is carried out later takes nothing. */
  timeoutMs: number;
  /** So many records of grants are kept at most. */
  maxRecords: number;
  /** So many budget grants are kept at most; `MAX_BUDGET_GRANTS` if not given. */
  maxBudgetGrants?: number;
  /** So many API keys are kept in a partition at most; `MAX_API_KEYS` if not given. */
  maxApiKeys?: number;
  /** Whether the store remembers what came of each call, so that `owe` knows of one whose answer was lost. */
  traceCalls?: boolean;
}

/** A decision in a call of which it is not known whether the store carried it out. */
export interface LostCall {
  /** Where the store remembers what came of the call. */
  key: string;
  call: string;
  /** Its place in the call, from 1 on. */
  index: number;
}

/** How long a grant's record is kept: a settle, a replay and `GET /v1/decisions/{id}` find it for this long. */
export const RECORD_TTL_MS = 24 * 60 * 60 * 1000;

/** How long the attempts of a run are remembered after the last of them. */
export const RUN_TTL_MS = 60 * 60 * 1000;

/** The part of a usage event that is known before the take: who asked, for what, under which policy. */
export type EventSubject = Pick<UsageEvent, 'tenant_id'> & {
  [Name in
    | 'request_id'
    | 'run_id'
    | 'user_id'
    | 'team_id'
    | 'project_id'
    | 'department_id'
    | 'agent_id'
    | 'channel'
    | 'credential_id'
    | 'source_ip'
    | 'provider'
    | 'model'
    | 'policy_revision']?: UsageEvent[Name] | undefined;
};

export interface TakeRequest {
  decisionId: string;
  plan: Plan;
  event: EventSubject;
  /** Makes the take idempotent; `fingerprint` tells the same body from another one under the same id. */
  requestId?: string | undefined;
  fingerprint: string;
  /** The gate of the key that asks, among the tenant's: it must be open, whatever the plan says. */
  keyGate?: string;
  /** A refusal leaves no event: who asks counts it. */
  quiet?: boolean;
}

/** A grant that was given while the store was away. */
export interface Owed extends Omit<TakeRequest, 'keyGate' | 'quiet'> {
  /** When it was given: epoch milliseconds. It selects price and cycle, and a window that has ended since is not charged. */
  decidedAt: number;
  /** The call that asked for it before, if its answer was lost. */
  lost?: LostCall | undefined;
}

export type OweResult =
  | Extract<TakeResult, { kind: 'taken' | 'replayed' | 'conflict' }>
  /** The lost call was carried out: it was charged then. */
  | { kind: 'executed' };

/** A switch that candidates and keys depend on: open unless it is closed until some instant. */
export interface Gate {
  tenantId: string;
  scope: Scope;
  name: string;
}

/**
 * Hand it to `settle` to give a take back, also where no record of it is kept. Its text is the store's own affair, and made
 * only when it is asked for: a policy that refuses what it was granted is rare.
 */
export type Receipt = () => string;

export type TakeResult =
  | { kind: 'taken'; outcome: Outcome; at: number; receipt: Receipt }
  /** Some `deny` limit of every candidate was short: nothing was charged. */
  | { kind: 'refused'; outcome: Outcome; at: number }
  /** This tenant and request id were granted before: nothing was charged, the stored answer is given again. */
  | { kind: 'replayed'; outcome: Outcome; at: number; decisionId: string; policyRevision: string | undefined }
  /** This tenant and request id were granted before, for another body. */
  | { kind: 'conflict' }
  /** The gate of the key that asks is closed: nothing was charged. */
  | { kind: 'closed'; at: number };

/** `crossed`: thresholds that this report crosses, and nothing before it in the period. */
export interface Change {
  id: string;
  unit: string;
  amount: number;
  crossed?: number[];
}

/** How much of each unit was really used; a unit that is left out keeps its estimate. */
export type Actual = Partial<Record<'tokens' | 'input_tokens' | 'output_tokens' | 'requests' | 'usd', number>>;

export interface SettleRequest {
  decisionId: string;
  /** Whoever may speak for one tenant only says which: another tenant's decision is `unknown`. */
  tenantId?: string | undefined;
  /** Give all of it back, or move the charge to what was really used. */
  kind: 'settle' | 'void';
  actual: Actual;
  usage?: Usage | undefined;
  model?: string | undefined;
  /** How the call failed: what its run tries next depends on it. */
  failure?: Failure | undefined;
  /** Tells the same report from another one for the same decision. */
  fingerprint: string;
  /** From `take`, by the process that took: makes a void possible where no record is kept, once however often repeated. */
  receipt?: Receipt | undefined;
}

export type SettleResult =
  /** `changes`: each limit's signed delta in its unit. The same report again gets the same answer. */
  | {
      kind: 'settled' | 'voided';
      replayed: boolean;
      at: number;
      changes: Change[];
      /** What the report is of: when it was decided, and for which model if the request or the policy named one. */
      decided: { at: number; model?: string | undefined };
    }
  | { kind: 'unknown' }
  /** Settled or voided before, with another report. */
  | { kind: 'conflict'; state: 'settled' | 'voided' };

/** A request that was refused before anything could be taken, by the plan or by a failure; it is counted all the same. */
export interface Denial {
  decisionId: string;
  event: EventSubject;
  reason: string;
  /** How many such requests it stands for; 1 if not given. */
  count?: number;
}

/** What is kept of a grant. */
export interface DecisionRecord {
  decisionId: string;
  tenantId: string;
  state: 'consumed' | 'reserved' | 'settled' | 'voided' | 'expired';
  policyRevision: string | undefined;
  outcome: Outcome;
  decidedAt: number;
}

/**
 * The counters. Every store keeps the same promises, shown by `test/conformance/counter-store.suite.ts`:
 * - **All or nothing.** Either every `deny` limit has room and all limits are charged, or nothing is.
 * - **A denial costs nothing**, and says which limits were short and when the last of them has room again.
 * - **One clock**: the store's own. Set back, it neither refills twice nor freezes a bucket for longer than the jump;
 *   set forward, it gives at most one full bucket.
 * - **Idempotent** by tenant and request id for 24 hours from a grant, also when two arrive together.
 * - **Allowed if and only if its usage event is in the stream.** All checks come before the first write.
 * - **No `deny` limit is overspent** by takes, whatever the number of processes.
 * - **Settle moves the charge once.** More than the estimate is charged even into debt, which refill pays off first.
 *   Less, or a void, gives back what refill has not already given back, oldest charge first.
 * - **What was used stays used** when a capacity changes; the new capacity holds from the next take.
 * - **A gate that is closed** is closed for every process from the next take on.
 * - **A budget grant is kept once**, with its event, and told to every process until it expires or is taken back.
 * - **API keys** change all or nothing, with their audit event, and never back to an older state.
 * - **A model of a provider account** cools down after a rate limit, and its circuit opens after failures in a row, for every
 *   process from the next take on; through an open circuit one probe goes at a time.
 *
 * A denial is a value. A store that cannot be reached, or answers with an error, throws `CountersUnavailable`: the
 * take may or may not have happened, and only a retry with the same request id tells.
 */
export interface CounterStore extends ApiKeyStore {
  /** How many partitions the keys are spread over, and which one is this tenant's. */
  partitionOf(tenantId: string): number;
  take(request: TakeRequest): Promise<TakeResult>;
  /**
   * Charges what was allowed while the store was away, for the first candidate, into debt if need be; once, however often
   * it is repeated within 24 hours.
   */
  owe(owed: Owed): Promise<OweResult>;
  /** What `take` would come to now. Takes nothing, leaves no event. */
  peek(plan: Plan, tenantId: string): Promise<{ outcome: Outcome; at: number }>;
  settle(request: SettleRequest): Promise<SettleResult>;
  /**
   * Marks up to `limit` reservations that nobody settled in time as expired, each once: the estimate stands, and what was
   * in flight is no longer counted. Resolves with how many there were.
   */
  expire(limit: number): Promise<number>;
  record(decisionId: string): Promise<DecisionRecord | undefined>;
  /** Appends a `denied` event. */
  deny(denial: Denial): Promise<void>;
  /** Closes a gate until an instant of the store's clock (epoch milliseconds, `MAX_AMOUNT`: for good), or opens it. */
  setGate(gate: Gate, closedUntil: number | undefined): Promise<void>;
  /**
   * Keeps a boost of a user's budget until it expires, and appends its `adjusted` event; the same id again changes nothing.
   * Resolves with when it was granted, by the store's clock. Throws `BudgetGrantsFull` or `BudgetGrantExpired`.
   */
  grantBudget(grant: BudgetGrant): Promise<{ at: number; replayed: boolean }>;
  /** Takes a boost back; its event is that of the grant with the tokens negative. False: there is none (any more). */
  revokeGrant(id: string, by: string): Promise<boolean>;
  /** All boosts that count now, of all tenants, the oldest first; undefined if they are those of `version`. */
  budgetGrants(version: string | undefined): Promise<BudgetGrants | undefined>;
  /** Counts what came of a call to a provider, once however often it is told; resolves with what is known of the model then. */
  providerOutcome(outcome: ProviderOutcome, rules: ProviderRules): Promise<ModelHealth>;
  /** What is known of the models of an account; those of which nothing is known work. */
  providerHealth(account: string): Promise<ProviderHealth>;
  /**
   * Raises what is in use of a shared limit so that no more than `remaining` is left of it; never lowers it. Resolves with what
   * is in use then.
   */
  raiseUsed(limit: Limit, remaining: number): Promise<number>;
  /** Appends an audit event: to the tenant's stream, or the first one. */
  audit(entry: AuditEntry): Promise<void>;
  /** Throws `CountersUnavailable` if the store does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export class CountersUnavailable extends Error {
  override readonly name: string = 'CountersUnavailable';
  /** Of a take, where the store remembers what came of each call. */
  lost?: LostCall;
}

/** So many grants are remembered that no more may be: what needs a record is refused, whatever its limits say. */
export class RecordsFull extends CountersUnavailable {
  override readonly name = 'RecordsFull';

  constructor(maxRecords: number) {
    super(`${maxRecords} grants are remembered, and MAX_DECISION_RECORDS allows no more`);
  }
}
