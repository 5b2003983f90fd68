import type { ApiKey } from '../../../schemas/api-key.ts';
import type { Limit, Outcome } from '../../../schemas/policy-io.ts';
import type { BudgetGrant } from '../budget-grant.ts';
import type { DecisionRecord, EventSubject, SettleResult } from '../contract.ts';
import type { CounterState, KindOfCharge } from '../counter.ts';
import type { GateState, ModelHealth } from '../provider-health.ts';
import { OpenReservations } from './open-reservations.ts';

/** One counter. One that is empty is not there. */
export interface Counter {
  state: CounterState;
  /** Epoch milliseconds from which it means nothing any more: it is dropped then. */
  emptyAt: number;
}

/** What one limit of a grant was charged, with all that giving it back needs. */
export interface KeptCharge extends KindOfCharge {
  key: string;
  id: string;
  unit: Limit['unit'];
  billed: boolean;
  settles: boolean;
  counts?: Limit['counts'];
}

/** What is kept of a grant: also its receipt, as JSON. */
export interface KeptRecord {
  decisionId: string;
  state: DecisionRecord['state'];
  event: EventSubject;
  outcome: Outcome;
  charges: KeptCharge[];
  requestKey: string | null;
  /** Of the run whose attempts are counted. */
  runKey?: string;
  fingerprint: string;
  decidedAt: number;
  expiresAt: number;
  /** Of a reservation: when it expires if nobody settles it. */
  openUntil?: number;
  /** The report that settled or voided it. */
  report?: { fingerprint: string; at: number; changes: Changes };
}

/** A boost of a user's budget. */
export interface KeptBudgetGrant {
  /** From when it may be forgotten. */
  until: number;
  /** When it was granted. */
  at: number;
  /** Null: it was taken back. */
  grant: BudgetGrant | null;
}

/** What became of the takes of one run. */
export interface KeptRun {
  attempts: number;
  /** By model: how its last call failed. */
  failed: [model: string, failure: string][];
  expiresAt: number;
}

export interface KeptHealth {
  account: string;
  model: string;
  health: ModelHealth;
  expiresAt: number;
}

export type Changes = Extract<SettleResult, { kind: 'settled' | 'voided' }>['changes'];

/** What the usage stream carries, as JSON: as an object it was made into text twice, and kept the garbage collector busy. */
export interface StreamEvent {
  json: string;
  at: number;
}

/** An entry of the usage stream that is not acknowledged yet. */
interface StreamItem {
  event: StreamEvent;
  /** How often it was handed to the reader. */
  delivered: number;
}

/** All that the embedded store knows. Changed by `apply` alone, so that the journal says it all. */
export interface State {
  counters: Map<string, Counter>;
  records: Map<string, KeptRecord>;
  open: OpenReservations;
  /** Tenant and request id → decision id. */
  requests: Map<string, string>;
  /** Gates that were closed, and until when. */
  gates: Map<string, GateState>;
  /** What became of the takes of a run. */
  runs: Map<string, KeptRun>;
  /** Of the models of provider accounts: by account and model. */
  health: Map<string, KeptHealth>;
  /** By id. */
  budgetGrants: Map<string, KeptBudgetGrant>;
  /** Another one after each change to them; empty before the first. */
  budgetGrantsVersion: string;
  /** By id. */
  apiKeys: Map<string, ApiKey>;
  /** When they were last used. */
  apiKeysUsed: Map<string, number>;
  /** Whether the ledger's keys are here. */
  apiKeysPublished: boolean;
  /** By number, oldest first. */
  stream: Map<number, StreamItem>;
  /** The number of the newest stream entry ever, and of the newest that was delivered. */
  lastEntry: number;
  lastDelivered: number;
}

export const emptyState = (): State => ({
  counters: new Map(),
  records: new Map(),
  open: new OpenReservations(),
  requests: new Map(),
  gates: new Map(),
  runs: new Map(),
  health: new Map(),
  budgetGrants: new Map(),
  budgetGrantsVersion: '',
  apiKeys: new Map(),
  apiKeysUsed: new Map(),
  apiKeysPublished: false,
  stream: new Map(),
  lastEntry: 0,
  lastDelivered: 0,
});
