import { MAX_AMOUNT } from '../../schemas/amounts.ts';
import type { TokenBucket } from '../../schemas/policy-io.ts';
import { mulDiv } from './mul-div.ts';

/**
 * The token bucket's arithmetic, pure. What is kept is what was *used*, so a changed capacity holds at once and what
 * was used stays used; a counter that is not there is an empty one, so an idle one may expire. Used above the capacity
 * is debt. The same in Lua: `redis/lua/includes/token-bucket.lua`; property tests hold the two equal.
 */
export interface BucketState {
  /** In use now, as of `at`. */
  used: number;
  /** Epoch milliseconds up to which refill is counted; in interval mode the start of the running interval. */
  at: number;
  /** Continuous mode: the part of a token refilled so far, in units of 1/period milliseconds. */
  rest: number;
  /** When the bucket was last full. Charges from before that time have been refilled. */
  since: number;
  /** Refilled since then. */
  refilled: number;
  /** The highest threshold announced since then, in percent. */
  announced: number;
}

/** What is remembered of one charge, so that giving it back gives nothing that refill has given back before. */
export interface Charge {
  amount: number;
  before: number;
  since: number;
  refilled: number;
}

/** Ten years: no wait is said to be longer. */
export const MAX_WAIT_MS = 315_360_000_000;

type Rule = TokenBucket['refill'];

export const fullBucket = (now: number): BucketState => ({
  used: 0,
  at: now,
  rest: 0,
  since: now,
  refilled: 0,
  announced: 0,
});

/** The bucket as it is at `now`. A clock that went back refills nothing; one far ahead refills at most what is used. */
export function refill(state: BucketState | undefined, rule: Rule, now: number): BucketState {
  if (!state) return fullBucket(now);
  const period = rule.per_seconds * 1000;
  const elapsed = Math.max(0, now - state.at);
  if (rule.mode === 'interval') {
    const intervals = Math.floor(elapsed / period);
    return intervals === 0
      ? state
      : paid(state, saturated(intervals, rule.amount), now, state.at + intervals * period, 0);
  }
  const whole = Math.floor(elapsed / period);
  if (whole > 0 && saturated(whole, rule.amount) >= state.used) return fullBucket(now);
  const part = mulDiv(elapsed % period, rule.amount, period);
  // Under another rule before, the rest was in other units: it is never worth more than a token.
  const carried = part.remainder + Math.min(state.rest, period - 1);
  const amount = whole * rule.amount + part.quotient + Math.floor(carried / period);
  return paid(state, amount, now, Math.max(state.at, now), carried % period);
}

function paid(state: BucketState, amount: number, now: number, at: number, rest: number): BucketState {
  if (amount >= state.used) return fullBucket(now);
  const used = state.used - amount;
  const refilled = state.refilled + amount;
  if (refilled <= MAX_AMOUNT) return { ...state, used, at, rest, refilled };
  // Beyond what is exact it is counted anew, and charges from before then give nothing back.
  return { ...state, used, at, rest, since: Math.max(now, state.since + 1), refilled: 0 };
}

const saturated = (a: number, b: number) => Math.min(a * b, MAX_AMOUNT);

/** Milliseconds until `amount` more will have been refilled; at most `MAX_WAIT_MS`. */
export function refillTime(state: BucketState, rule: Rule, now: number, amount: number): number {
  if (amount <= 0) return 0;
  const period = rule.per_seconds * 1000;
  const ahead = Math.max(0, state.at - now);
  if (rule.mode === 'interval') {
    const intervals = Math.ceil(amount / rule.amount);
    return Math.min(MAX_WAIT_MS, Math.max(0, state.at - now + intervals * period));
  }
  // One token less, because the rest may be worth nearly one.
  if (((amount - 1) / rule.amount) * period > 2 * MAX_WAIT_MS) return MAX_WAIT_MS;
  const { quotient, remainder } = mulDiv(amount, period, rule.amount);
  const exact = quotient + Math.ceil((remainder - state.rest) / rule.amount);
  return Math.min(MAX_WAIT_MS, ahead + Math.max(1, exact));
}

/** Charges `amount`, into debt if need be. Never beyond what a double holds exactly. */
export function charge(state: BucketState, amount: number): BucketState {
  const { announced, at, refilled, rest, since } = state;
  return { used: Math.min(MAX_AMOUNT, state.used + amount), at, rest, since, refilled, announced };
}

/**
 * Gives back up to `amount` of a charge: what refill has not paid off already, if refill pays the oldest charge first.
 * So a void after a refill never makes room that was not there without the charge.
 */
export function giveBack(state: BucketState, given: Charge, amount: number, now: number): BucketState {
  if (state.since !== given.since) return state;
  const paidOff = Math.max(0, state.refilled - given.refilled - given.before);
  const open = Math.max(0, given.amount - paidOff);
  const used = state.used - Math.min(amount, open);
  return used > 0 ? { ...state, used } : fullBucket(now);
}
