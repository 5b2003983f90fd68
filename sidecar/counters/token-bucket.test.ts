import { describe, expect, test } from 'vitest';
import { type BucketState, charge, fullBucket, giveBack, MAX_WAIT_MS, refill, refillTime } from './token-bucket.ts';

/** The numbers that the Lua and every other implementation must come to; random ones are in `test/model`. */
const START = 1_767_225_600_000;
const SECOND = 1_000;

const interval = { amount: 4, per_seconds: 60, mode: 'interval' } as const;
const steady = { amount: 7, per_seconds: 13, mode: 'continuous' } as const;

const charged = (amount: number, now = START): BucketState => charge(fullBucket(now), amount);
const given = (state: BucketState, amount: number) => ({
  amount,
  before: state.used,
  since: state.since,
  refilled: state.refilled,
});

describe('refill', () => {
  test('a counter that is not there is a full bucket', () => {
    expect(refill(undefined, interval, START)).toEqual({
      used: 0,
      at: START,
      rest: 0,
      since: START,
      refilled: 0,
      announced: 0,
    });
  });

  test.each([
    ['before the end of the first interval', 59_999, 10, 0],
    ['at its end', 60_000, 6, 60_000],
    ['within the third', 150_000, 2, 120_000],
    ['when all is paid it is full as of now', 180_001, 0, 180_001],
  ])('interval: %s', (_, after, used, at) => {
    expect(refill(charged(10), interval, START + after)).toMatchObject({ used, at: START + at });
  });

  test.each([
    ['less than a token is kept as rest', 1_857, 10, 12_999],
    ['one token at 13/7 of a second', 1_858, 9, 6],
    ['a whole period', 13_000, 3, 0],
    ['all of it', 18_572, 0, 0],
  ])('continuous: %s', (_, after, used, rest) => {
    expect(refill(charged(10), steady, START + after)).toMatchObject({ used, rest });
  });

  test('in many small steps it comes to the same as in one', () => {
    let state = charged(1_000);
    for (let passed = 1; passed <= 1_300; passed++) state = refill(state, steady, START + passed * 100);
    expect(state).toEqual(refill(charged(1_000), steady, START + 130_000));
    expect(state.used).toBe(1_000 - 70);
  });

  test('a clock that went back refills nothing, and counts on from where it was', () => {
    expect(refill(charged(10), steady, START - 5_000)).toMatchObject({ used: 10, at: START });
    expect(refill(charged(10), interval, START - 5_000)).toMatchObject({ used: 10, at: START });
  });

  test('a rest from another rule is worth less than a token', () => {
    const state = { ...charged(10), rest: 86_399_999 };
    expect(refill(state, { amount: 1, per_seconds: 1, mode: 'continuous' }, START).used).toBe(10);
    expect(refill(state, { amount: 1, per_seconds: 1, mode: 'continuous' }, START + 1).used).toBe(9);
  });

  test('what was refilled beyond 2^53 is counted anew, and an older charge then gives nothing back', () => {
    const state = { ...charged(10), refilled: Number.MAX_SAFE_INTEGER - 3 };
    const after = refill(state, interval, START + 60_000);
    expect(after).toMatchObject({ used: 6, refilled: 0, since: START + 60_000 });
    expect(giveBack(after, given(state, 5), 5, START + 60_000)).toEqual(after);
  });
});

describe('the wait', () => {
  test.each([
    ['nothing to wait for', interval, 0, 0],
    ['the running interval', interval, 1, 60_000],
    ['the next one', interval, 5, 120_000],
    ['a token, rounded up to the millisecond', steady, 1, 1_858],
    ['a period', steady, 7, 13_000],
  ])('%s', (_, rule, amount, wait) => {
    expect(refillTime(charged(10), rule, START, amount)).toBe(wait);
  });

  test('a clock that was set back is waited for', () => {
    expect(refillTime(charged(10), steady, START - 5 * SECOND, 7)).toBe(18_000);
    expect(refillTime(charged(10), interval, START - 5 * SECOND, 1)).toBe(65_000);
  });

  test('is never said to be longer than ten years', () => {
    const slow = { amount: 1, per_seconds: 86_400, mode: 'continuous' } as const;
    expect(refillTime(charged(1e15), slow, START, 1e15)).toBe(MAX_WAIT_MS);
  });
});

test('the wait for the last drop of a token that takes a century is that drop’s', () => {
  const century = { amount: 1, per_seconds: 3_155_760_000, mode: 'continuous' } as const;
  const state = refill(charged(1), century, START + 3_155_760_000_000 - 5);
  expect(refillTime(state, century, START + 3_155_760_000_000 - 5, 1)).toBe(5);
});

describe('giving back', () => {
  test('all of it, where nothing was refilled', () => {
    const before = charged(3);
    expect(giveBack(charge(before, 5), given(before, 5), 5, START).used).toBe(3);
  });

  test('what refill has paid of the charge is not given back again', () => {
    const state = refill(charge(charged(3), 5), interval, START + 60_000);
    expect(state.used).toBe(4);
    expect(giveBack(state, given(charged(3), 5), 5, START + 60_000).used).toBe(0);
    expect(giveBack(state, given(fullBucket(START), 8), 8, START + 60_000).used).toBe(0);
    const later = charge(state, 6);
    expect(giveBack(later, given(charged(3), 5), 5, START + 60_000).used).toBe(6);
  });

  test('of a charge from before the bucket was last full, nothing', () => {
    const state = charge(refill(charged(4), interval, START + 60_000), 2);
    expect(giveBack(state, given(fullBucket(START), 4), 4, START + 60_000)).toEqual(state);
  });
});
