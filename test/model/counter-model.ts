import type { Limit } from '../../schemas/policy-io.ts';
import { BucketModel, type ModelCharge } from './bucket-model.ts';
import { type WindowModel, windowAt, windowCapacity, windowEnd } from './window-model.ts';

/** One counter, by the kind of its limit. Never changed: what changes it gives another one. */
export type CounterModel =
  | { kind: 'token_bucket'; bucket: BucketModel }
  | { kind: 'window'; window: WindowModel }
  | { kind: 'concurrency'; used: bigint; announced: number };

/** What one limit of a grant was charged. */
export interface ModelGiven {
  limit: Limit;
  amount: bigint;
  /** What might be in use then. */
  capacity: bigint;
  /** Of a token bucket. */
  charge?: ModelCharge;
  /** Of a window: when its period began. */
  start?: number;
}

const LARGEST = 2n ** 53n - 1n;
const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;
/** No wait is said to be longer: ten years. */
const LONGEST_WAIT_MS = 3_650 * DAY_MS;

/** The counter as it is at `now`. */
export function counterAt(stored: CounterModel | undefined, limit: Limit, now: number): CounterModel {
  switch (limit.kind) {
    case 'token_bucket': {
      const kept = stored?.kind === 'token_bucket' ? stored.bucket : new BucketModel(limit.refill);
      return { kind: 'token_bucket', bucket: kept.at(now, limit.refill) };
    }
    case 'window':
      return { kind: 'window', window: windowAt(stored?.kind === 'window' ? stored.window : undefined, limit, now) };
    case 'concurrency':
      return stored?.kind === 'concurrency' && stored.used > 0n
        ? stored
        : { kind: 'concurrency', used: 0n, announced: 0 };
  }
}

export function usedOf(counter: CounterModel): bigint {
  if (counter.kind === 'token_bucket') return counter.bucket.used;
  return counter.kind === 'window' ? counter.window.used : counter.used;
}

const capacityOf = (counter: CounterModel, limit: Limit): bigint =>
  counter.kind === 'window' && limit.kind === 'window' ? windowCapacity(counter.window, limit) : BigInt(limit.capacity);

/** What a usage event says of when the period began; 0 where there are none. */
export function periodStart(counter: CounterModel | undefined, now: number): number {
  if (counter?.kind === 'token_bucket') return counter.bucket.countedTo(now);
  return counter?.kind === 'window' ? counter.window.start : 0;
}

/** Never above the largest amount that there is. */
const sum = (used: bigint, amount: bigint) => (used + amount > LARGEST ? LARGEST : used + amount);

/** Charges `amount`; tells what giving it back needs. */
export function charged(counter: CounterModel, limit: Limit, amount: number, now: number) {
  const given: ModelGiven = { limit, amount: BigInt(amount), capacity: capacityOf(counter, limit) };
  if (counter.kind === 'window') given.start = counter.window.start;
  if (counter.kind !== 'token_bucket') return { given, after: withUsed(counter, sum(usedOf(counter), BigInt(amount))) };
  const bucket = counter.bucket.at(now);
  given.charge = bucket.charge(amount, now);
  return { given, after: { kind: 'token_bucket' as const, bucket } };
}

function withUsed(counter: Exclude<CounterModel, { kind: 'token_bucket' }>, used: bigint): CounterModel {
  return counter.kind === 'window' ? { ...counter, window: { ...counter.window, used } } : { ...counter, used };
}

/**
 * Moves a charge by a signed amount. What belongs to a period that is over moves nothing; undefined where the counter is
 * not there and nothing moves.
 */
export function moved(stored: CounterModel | undefined, given: ModelGiven, amount: bigint, now: number) {
  const { charge, limit, start } = given;
  if (limit.kind === 'token_bucket') {
    const before = counterAt(stored, limit, now);
    const bucket = (before as Extract<CounterModel, { kind: 'token_bucket' }>).bucket.at(now);
    if (amount >= 0n) bucket.charge(Number(amount), now);
    else if (charge) bucket.giveBack(charge, -amount);
    return { before, after: { kind: 'token_bucket' as const, bucket } };
  }
  const before = stored ?? (limit.kind === 'concurrency' ? counterAt(stored, limit, now) : undefined);
  if (!before || before.kind === 'token_bucket') return { before: undefined, after: undefined };
  if (before.kind === 'window' && before.window.start !== start) return { before, after: before };
  const used = sum(usedOf(before), amount);
  return { before, after: withUsed(before, used > 0n ? used : 0n) };
}

/**
 * The thresholds that are reached and were not announced in this period, and the counter with them announced. One below a
 * threshold that was announced is not announced after it.
 */
export function announced(counter: CounterModel, thresholds: number[], capacity: bigint) {
  const used = usedOf(counter);
  const highest = announcedOf(counter);
  const reached = (percent: number) => used > 0n && used * 100n >= BigInt(percent) * capacity;
  const crossed = thresholds.filter((percent) => percent > highest && reached(percent));
  return { crossed, after: crossed.length ? withAnnounced(counter, Math.max(...crossed)) : counter };
}

function announcedOf(counter: CounterModel): number {
  if (counter.kind === 'token_bucket') return counter.bucket.announced;
  return counter.kind === 'window' ? counter.window.announced : counter.announced;
}

function withAnnounced(counter: CounterModel, percent: number): CounterModel {
  if (counter.kind === 'concurrency') return { ...counter, announced: percent };
  if (counter.kind === 'window') return { ...counter, window: { ...counter.window, announced: percent } };
  counter.bucket.announce(percent);
  return counter;
}

/** Epoch milliseconds at which nothing is in use any more if nothing more is taken. */
export function resetAt(counter: CounterModel, limit: Limit, now: number): number {
  if (counter.kind === 'token_bucket') return now + counter.bucket.waitUntil(0n, now, LONGEST_WAIT_MS);
  if (counter.kind === 'window' && limit.kind === 'window') return windowEnd(counter.window, limit, now);
  return now + (usedOf(counter) > 0n ? SECOND_MS : 0);
}

/** Milliseconds until the limit's cost has room: 0 if it has, null if it never will. */
export function retryAfter(counter: CounterModel, limit: Limit, now: number): number | null {
  const cost = BigInt(limit.cost);
  if (usedOf(counter) + cost <= capacityOf(counter, limit)) return 0;
  const most = BigInt(limit.capacity) + BigInt(limit.kind === 'window' ? (limit.window.rollover?.max ?? 0) : 0);
  if (cost > most) return null;
  if (counter.kind === 'window' && limit.kind === 'window') return windowEnd(counter.window, limit, now) - now;
  // Nobody knows when a call in flight will end.
  if (counter.kind !== 'token_bucket') return SECOND_MS;
  return counter.bucket.waitUntil(BigInt(limit.capacity) - cost, now, LONGEST_WAIT_MS);
}

/** Epoch milliseconds from which a store may forget the counter, after `limit` was charged. */
export function forgettableFrom(counter: CounterModel, limit: Limit, now: number): number {
  if (limit.kind === 'concurrency') return now + DAY_MS;
  if (limit.kind === 'window' && limit.window.rollover?.max) return now + 400 * DAY_MS;
  return resetAt(counter, limit, now);
}
