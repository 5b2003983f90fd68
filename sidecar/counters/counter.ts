import { MAX_AMOUNT } from '../../schemas/amounts.ts';
import type { Limit } from '../../schemas/policy-io.ts';
import { enter, type WindowState, windowCapacity } from './calendar-window.ts';
import { RECORD_TTL_MS } from './contract.ts';
import { boundsAt } from './periods.ts';
import { type BucketState, type Charge, charge, giveBack, refill, refillTime } from './token-bucket.ts';

/** What is in flight. */
interface FlightState {
  used: number;
  announced: number;
}

/** What is kept of one counter, by the kind of its limit. One that is not there is empty. */
export type CounterState = BucketState | WindowState | FlightState;

/** What is remembered of a charge: enough to move it later, whatever the plan says then. */
export interface KindOfCharge extends Charge {
  kind: Limit['kind'];
  /** Of a token bucket. */
  refill?: Extract<Limit, { kind: 'token_bucket' }>['refill'];
  capacity: number;
  thresholds: number[];
}

/** Nobody knows when a call in flight will end: whoever is refused may ask again after this. */
const FLIGHT_RETRY_MS = 1_000;

/** A rollover is owed to a counter that has not been used for more than a year. */
const ROLLOVER_TTL_MS = 400 * 86_400_000;

/** The counter as it is at `now`: refilled, or in the period that has begun. */
export function standing(stored: CounterState | undefined, limit: Limit, now: number): CounterState {
  switch (limit.kind) {
    case 'token_bucket':
      return refill(stored as BucketState | undefined, limit.refill, now);
    case 'window':
      return enter(stored as WindowState | undefined, limit, boundsAt(limit.window, now)[1], now);
    case 'concurrency':
      return stored?.used ? stored : { used: 0, announced: 0 };
  }
}

/** What may be in use now. */
export const capacityOf = (state: CounterState, limit: Limit): number =>
  limit.kind === 'window' ? windowCapacity(state as WindowState, limit) : limit.capacity;

/** Charges `amount`, into debt if need be, and tells which thresholds that crosses. */
export const charged = (state: CounterState, limit: Limit): Announced =>
  announce(chargedBy(state, limit.cost), limit.thresholds, capacityOf(state, limit));

/** Never beyond what a double holds exactly. Written out: a copy with one change takes longer to make, and to read. */
function chargedBy(state: CounterState, amount: number): CounterState {
  if ('refilled' in state) return charge(state, amount);
  const used = Math.min(MAX_AMOUNT, state.used + amount);
  if ('start' in state) return { used, start: state.start, carried: state.carried, announced: state.announced };
  return { used, announced: state.announced };
}

/** So much in use that no more than `remaining` is left; never less than before. */
export function raised<State extends CounterState>(state: State, limit: Limit, remaining: number): State {
  const missing = Math.max(0, capacityOf(state, limit) - remaining) - state.used;
  return missing > 0 ? { ...state, used: Math.min(MAX_AMOUNT, state.used + missing) } : state;
}

/** A counter, and the thresholds that are announced with it: none of them was in this period. */
export interface Announced {
  after: CounterState;
  crossed: number[];
}

/** From which amount on a threshold is reached. By hundreds: a product with the whole capacity may be beyond what is exact. */
export const thresholdAmount = (percent: number, capacity: number): number =>
  percent * Math.floor(capacity / 100) + Math.ceil((percent * (capacity % 100)) / 100);

function announce(state: CounterState, thresholds: number[], capacity: number): Announced {
  const reached = (percent: number) => state.used > 0 && state.used >= thresholdAmount(percent, capacity);
  const crossed = thresholds.filter((percent) => percent > state.announced && reached(percent));
  return { after: crossed.length ? { ...state, announced: Math.max(...crossed) } : state, crossed };
}

/** Epoch milliseconds at which the running period began; 0 where there are no periods. */
export const periodStart = (state: CounterState): number =>
  'start' in state ? state.start : 'at' in state ? state.at : 0;

/** Epoch milliseconds at which nothing is in use any more if nothing more is taken. */
export function resetAt(state: CounterState, limit: Limit, now: number): number {
  switch (limit.kind) {
    case 'token_bucket':
      return now + refillTime(state as BucketState, limit.refill, now, state.used);
    case 'window':
      return periodEnd(state as WindowState, limit, now);
    case 'concurrency':
      return now + (state.used ? FLIGHT_RETRY_MS : 0);
  }
}

/** Milliseconds until the limit's cost has room; null if it never has. */
export function retryAfter(state: CounterState, limit: Limit, now: number): number | null {
  // As differences: sums may be above 2^53, and are rounded then.
  const missing = limit.cost - (capacityOf(state, limit) - state.used);
  if (missing <= 0) return 0;
  if (limit.kind === 'window') {
    const most = limit.capacity + (limit.window.rollover?.max ?? 0);
    return limit.cost > most ? null : periodEnd(state as WindowState, limit, now) - now;
  }
  if (limit.cost > limit.capacity) return null;
  return limit.kind === 'concurrency' ? FLIGHT_RETRY_MS : refillTime(state as BucketState, limit.refill, now, missing);
}

/** Epoch milliseconds from which the counter means nothing any more and may be forgotten. */
export function forgottenAt(state: CounterState, limit: Limit, now: number): number {
  if (limit.kind === 'concurrency') return now + RECORD_TTL_MS;
  if (limit.kind === 'window' && limit.window.rollover) return now + ROLLOVER_TTL_MS;
  return resetAt(state, limit, now);
}

/** A period that a clock set back has not reached again is kept, and ends when it would have ended. */
function periodEnd({ start }: WindowState, { window }: Extract<Limit, { kind: 'window' }>, now: number): number {
  const [, , next, afterNext] = boundsAt(window, now);
  return start >= next ? afterNext : next;
}

/** The same for a counter that a report moved: what its kind alone tells. */
export const movedUntil = (state: CounterState, given: KindOfCharge, now: number): number =>
  given.refill ? now + refillTime(state as BucketState, given.refill, now, state.used) : 0;

/** What a charge of the limit, made on this state, is remembered by. */
export function chargeOn(state: CounterState, limit: Limit): KindOfCharge {
  const { since, refilled } = { since: periodStart(state), refilled: 0, ...state };
  return {
    kind: limit.kind,
    ...(limit.kind === 'token_bucket' && { refill: limit.refill }),
    capacity: capacityOf(state, limit),
    thresholds: limit.thresholds,
    amount: limit.cost,
    before: state.used,
    since,
    refilled,
  };
}

/**
 * Moves a charge by a signed amount, up or back down, and gives the counter before and after. What belonged to a period
 * that is over moves nothing in the one that runs; what was in flight has landed, whatever it cost.
 */
export function moved(
  stored: CounterState | undefined,
  given: KindOfCharge,
  amount: number,
  now: number,
): Announced & { before: CounterState } {
  const { after, before } = movedBy(stored, given, amount, now);
  if (amount <= 0 || after === before) return { before, after, crossed: [] };
  return { before, ...announce(after, given.thresholds, given.capacity) };
}

function movedBy(stored: CounterState | undefined, given: KindOfCharge, amount: number, now: number) {
  if (given.kind === 'token_bucket' && given.refill) {
    const before = refill(stored as BucketState | undefined, given.refill, now);
    return { before, after: amount < 0 ? giveBack(before, given, -amount, now) : charge(before, amount) };
  }
  const before = stored ?? { used: 0, announced: 0 };
  if (given.kind === 'window' && periodStart(before) !== given.since) return { before, after: before };
  return { before, after: { ...before, used: Math.min(MAX_AMOUNT, Math.max(0, before.used + amount)) } };
}
