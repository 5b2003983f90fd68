import { LRUCache } from 'lru-cache';
import type { Limit } from '../../../schemas/policy-io.ts';
import { type CounterState, capacityOf, resetAt, thresholdAmount } from '../counter.ts';
import { boundsAt } from '../periods.ts';

/** What the store keeps of a counter behind what is in use, as text, and what it says with nothing in use. */
interface Kept {
  tail: string;
  state: CounterState;
}

/** A counter in a period that runs: until that is over, nothing of it changes but what is in use. */
export interface RunningCounter extends Kept {
  capacity: number;
  /** What may be in use below its next threshold. */
  room: number;
  /** Between which instants of the store this holds, in epoch milliseconds. */
  from: number;
  until: number;
}

/** Subjects whose counters are known; some 500 bytes each. */
const MAX_SUBJECTS = 20_000;

/** What the store last told of counters, by key and field. */
export class RunningCounters {
  readonly #known = new LRUCache<string, Map<string, Kept>>({ max: MAX_SUBJECTS });

  /** `counter` as it is kept: see `lua/includes/counters.lua`. */
  learn(key: string, field: string, counter: string): void {
    const tail = counter.slice(counter.indexOf(':'));
    const fields = this.#known.get(key);
    if (fields?.get(field)?.tail === tail) return;
    const kept = { tail, state: stateOf(field, tail) };
    if (fields) fields.set(field, kept);
    else this.#known.set(key, new Map([[field, kept]]));
  }

  forget(key: string): void {
    this.#known.delete(key);
  }

  /** Undefined where it is not known, does not run at `now`, the store's time, or has no room for the limit's cost. */
  of(key: string, field: string, limit: Limit, now: number): RunningCounter | undefined {
    const kept = this.#known.get(key)?.get(field);
    const period = kept && periodOf(limit, kept.state, now);
    if (!period || now < period.from || now >= period.until) return undefined;
    const capacity = capacityOf(kept.state, limit);
    const room = roomOf(limit, kept.state, capacity);
    if (room < limit.cost) return undefined;
    return { tail: kept.tail, state: kept.state, capacity, room, from: period.from, until: period.until };
  }
}

/**
 * Whether a limit's counter stays as it is through a period: windows, and buckets that are filled at intervals. Not where something is
 * settled later, for of that a record is kept, nor where what is left is carried over, for that moves with every use how long it is kept.
 */
export function canRun(limit: Limit): boolean {
  if (limit.settles || !(limit.cost > 0)) return false;
  if (limit.kind === 'token_bucket') return limit.refill.mode === 'interval';
  return limit.kind === 'window' && !limit.window.rollover;
}

/** Epoch milliseconds at which nothing is in use any more, if so much is at `now`. Looked at anew only where one fill is not enough. */
export function resetOf({ state, until }: RunningCounter, limit: Limit, used: number, now: number): number {
  if (limit.kind !== 'token_bucket' || used <= limit.refill.amount) return until;
  return resetAt({ ...state, used }, limit, now);
}

function stateOf(field: string, tail: string): CounterState {
  const [, first = 0, second = 0, third = 0, refilled = 0, announced = 0] = tail.split(':').map(Number);
  if (field.startsWith('w')) return { used: 0, start: first, carried: second, announced: third };
  return { used: 0, at: first, rest: second, since: third, refilled, announced };
}

function periodOf(limit: Limit, state: CounterState, now: number): { from: number; until: number } | undefined {
  if (limit.kind === 'token_bucket' && 'at' in state) {
    return { from: state.at, until: state.at + limit.refill.per_seconds * 1000 };
  }
  if (limit.kind !== 'window' || !('start' in state)) return undefined;
  const [, from, until] = boundsAt(limit.window, now);
  return state.start === from ? { from, until } : undefined;
}

function roomOf({ thresholds }: Limit, { announced }: CounterState, capacity: number): number {
  let room = capacity;
  for (const percent of thresholds) {
    if (percent > announced) room = Math.min(room, thresholdAmount(percent, capacity) - 1);
  }
  return room;
}
