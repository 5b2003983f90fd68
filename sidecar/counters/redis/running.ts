import { LRUCache } from 'lru-cache';
import { MAX_AMOUNT } from '../../../schemas/amounts.ts';
import type { Limit } from '../../../schemas/policy-io.ts';
import { AskedAgain } from '../../asked-again.ts';
import { type CounterState, capacityOf, resetAt, thresholdAmount } from '../counter.ts';
import { boundsAt } from '../periods.ts';

/** A counter in a period that runs: until that is over, nothing of it changes but what is in use. */
export interface RunningCounter {
  /** What the store keeps of it behind what is in use, as text, and what that says with nothing in use. */
  tail: string;
  state: CounterState;
  capacity: number;
  /** What may be in use below its next threshold. */
  room: number;
  /** Between which instants of the store this holds, in epoch milliseconds. */
  from: number;
  until: number;
}

/** The counter of a limit whose cost was added to it: all that its outcome is made of, in one object. */
export interface AddedCounter extends RunningCounter, Pick<Limit, 'cost' | 'id' | 'on_exceed'> {
  limit: Limit;
  /** Which of the reply's words says what was in use before. */
  word: number;
  /** So much in use is gone at `until`. */
  gone: number;
}

/** Written out: a copy with more to it is slow to read, and each reply reads it. */
export const addedCounter = (counter: RunningCounter, limit: Limit, word: number): AddedCounter => ({
  word,
  cost: limit.cost,
  gone: limit.kind === 'token_bucket' ? limit.refill.amount : MAX_AMOUNT,
  until: counter.until,
  capacity: counter.capacity,
  id: limit.id,
  on_exceed: limit.on_exceed,
  limit,
  tail: counter.tail,
  state: counter.state,
  room: counter.room,
  from: counter.from,
});

/** Subjects whose counters are known; some 400 bytes each. */
const MAX_SUBJECTS = 20_000;

/** What stands behind what is in use of counters, by key, as the store last told it: fields and texts by turns. */
export class RunningCounters {
  readonly #known = new LRUCache<string, string[]>({ max: MAX_SUBJECTS });
  readonly #askedAgain = new AskedAgain(MAX_SUBJECTS);

  /** `counter` as it is kept: see `lua/includes/counters.lua`. */
  learn(key: string, field: string, counter: string): void {
    const tail = counter.slice(counter.indexOf(':'));
    const known = this.#known.get(key);
    if (!known) {
      // A text of its own, not a part of the reply that it came in.
      if (this.#known.size < MAX_SUBJECTS || this.#askedAgain.is(key)) this.#known.set(key, [field, copied(tail)]);
      return;
    }
    const at = known.indexOf(field);
    if (at < 0) known.push(field, copied(tail));
    else if (known[at + 1] !== tail) known[at + 1] = copied(tail);
  }

  forget(key: string): void {
    this.#known.delete(key);
  }

  /** Undefined where it is not known, does not run at `now`, the store's time, or has no room for the limit's cost. */
  of(key: string, field: string, limit: Limit, now: number): RunningCounter | undefined {
    const known = this.#known.get(key);
    const at = known ? known.indexOf(field) : -1;
    if (!known || at < 0) return undefined;
    const tail = known[at + 1] as string;
    const state = stateOf(field, tail);
    const period = periodOf(limit, state, now);
    if (!period || now < period.from || now >= period.until) return undefined;
    const capacity = capacityOf(state, limit);
    const room = roomOf(limit, state, capacity);
    if (room < limit.cost) return undefined;
    return { tail, state, capacity, room, from: period.from, until: period.until };
  }
}

const copied = (text: string) => Buffer.from(text, 'latin1').toString('latin1');

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
export const resetOf = ({ gone, limit, state, until }: AddedCounter, used: number, now: number): number =>
  used <= gone ? until : resetAt({ ...state, used }, limit, now);

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
