import { expect, test } from 'vitest';
import { limitOutcome } from './outcome.ts';

const outcome = (capacity: number, used: number, granted = true) =>
  limitOutcome(
    { id: 'l', capacity, on_exceed: 'deny' },
    { granted, before: 1, used, resetAt: 1_000, retryAfterMs: granted ? 0 : 5, crossed: [] },
  );

test('says all that was counted, and what follows from it', () => {
  expect(outcome(10, 7)).toEqual({
    id: 'l',
    granted: true,
    over: false,
    crossed: [],
    on_exceed: 'deny',
    capacity: 10,
    before: 1,
    used: 7,
    remaining: 3,
    used_percent: 70,
    reset_at: 1_000,
    retry_after_ms: 0,
  });
});

test.each([
  ['nothing used', 10, 0, { remaining: 10, used_percent: 0 }],
  ['rounded down: 99.9 % is not yet all', 1_000, 999, { remaining: 1, used_percent: 99 }],
  ['all of it', 10, 10, { over: false, remaining: 0, used_percent: 100 }],
  ['debt', 10, 25, { over: true, remaining: 0, used_percent: 250 }],
  ['a capacity of nothing', 0, 0, { over: false, remaining: 0, used_percent: 100 }],
  ['the largest', Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, { remaining: 0, used_percent: 100 }],
])('%s', (_, capacity, used, expected) => {
  expect(outcome(capacity, used)).toMatchObject(expected);
});

test('a refused limit is over whatever is in use', () => {
  expect(outcome(10, 3, false)).toMatchObject({ granted: false, over: true, retry_after_ms: 5 });
});
