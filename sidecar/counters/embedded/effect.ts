import { MAX_AMOUNT } from '../../../schemas/amounts.ts';
import type { ApiKey } from '../../../schemas/api-key.ts';
import type { GateState } from '../provider-health.ts';
import type { Counter, KeptBudgetGrant, KeptHealth, KeptRecord, KeptRun, State, StreamEvent } from './state.ts';

/**
 * What one step changes: one record of the journal, so that a step is there as a whole or not at all. Each member says
 * what is then, not what is added, so that applying it twice is applying it once: a snapshot may be written while steps
 * go on, and those that it holds already may come again from the journal.
 */
export interface Effect {
  /** By key; null: the bucket is full. */
  counters?: [key: string, counter: Counter | null][];
  record?: KeptRecord;
  /** Null: the request id may be tried anew. */
  request?: [key: string, decisionId: string | null];
  /** Null: the gate is open. */
  gate?: [key: string, closed: GateState | null];
  gates?: [key: string, closed: GateState | null][];
  run?: [key: string, run: KeptRun];
  /** Null: the model works. */
  health?: [key: string, health: KeptHealth | null];
  /** Keys of gates that are closed for good. */
  closedGates?: string[];
  budgetGrant?: [id: string, kept: KeptBudgetGrant];
  budgetGrantsVersion?: string;
  /** Null: it was dropped. */
  apiKeys?: [id: string, key: ApiKey | null][];
  apiKeysUsed?: [id: string, at: number][];
  apiKeysPublished?: boolean;
  event?: [number: number, event: StreamEvent];
  /** How often each stream entry has been delivered. */
  delivered?: [number: number, times: number][];
  acknowledged?: number[];
  /** A snapshot's: the newest entry, and the newest delivered one, also of those that are gone. */
  position?: { lastEntry: number; lastDelivered: number };
}

/** What a step answers, and what it changes. */
export interface Decided<Answer> {
  answer: Answer;
  effect?: Effect;
}

const NONE: never[] = [];

export function apply(state: State, effect: Effect): void {
  for (const [key, counter] of effect.counters ?? NONE) putOrDelete(state.counters, key, counter);
  if (effect.record) putRecord(state, effect.record);
  if (effect.request) putOrDelete(state.requests, ...effect.request);
  if (effect.gate) putOrDelete(state.gates, ...effect.gate);
  for (const gate of effect.gates ?? NONE) putOrDelete(state.gates, ...gate);
  if (effect.run) state.runs.set(...effect.run);
  if (effect.health) putOrDelete(state.health, ...effect.health);
  for (const key of effect.closedGates ?? NONE) state.gates.set(key, MAX_AMOUNT);
  if (effect.budgetGrant) state.budgetGrants.set(...effect.budgetGrant);
  if (effect.budgetGrantsVersion) state.budgetGrantsVersion = effect.budgetGrantsVersion;
  for (const [id, key] of effect.apiKeys ?? NONE) putApiKey(state, id, key);
  for (const [id, at] of effect.apiKeysUsed ?? NONE) state.apiKeysUsed.set(id, at);
  if (effect.apiKeysPublished) state.apiKeysPublished = true;
  if (effect.event) append(state, ...effect.event);
  for (const [number, times] of effect.delivered ?? NONE) deliver(state, number, times);
  for (const number of effect.acknowledged ?? NONE) state.stream.delete(number);
  if (effect.position) {
    state.lastEntry = Math.max(state.lastEntry, effect.position.lastEntry);
    state.lastDelivered = Math.max(state.lastDelivered, effect.position.lastDelivered);
  }
}

function putRecord(state: State, record: KeptRecord): void {
  const { decisionId, openUntil } = record;
  state.records.set(decisionId, record);
  if (record.state === 'reserved' && openUntil) state.open.add(decisionId, openUntil);
  else state.open.delete(decisionId);
}

function putApiKey(state: State, id: string, key: ApiKey | null): void {
  putOrDelete(state.apiKeys, id, key);
  if (key === null) state.apiKeysUsed.delete(id);
}

function putOrDelete<Value>(map: Map<string, Value>, key: string, value: Value | null): void {
  if (value === null) map.delete(key);
  else map.set(key, value);
}

function append(state: State, number: number, event: StreamEvent): void {
  state.stream.set(number, { event, delivered: 0 });
  state.lastEntry = Math.max(state.lastEntry, number);
}

function deliver(state: State, number: number, times: number): void {
  const item = state.stream.get(number);
  if (item) item.delivered = times;
  state.lastDelivered = Math.max(state.lastDelivered, number);
}
