import { expect, test } from 'vitest';
import { lowerId, nextId } from './stream-id.ts';

test.each([
  ['1-0', '2-0', '1-0'],
  ['9-5', '10-0', '9-5'],
  ['10-9', '10-10', '10-9'],
  ['1768478400000-3', '1768478400000-3', '1768478400000-3'],
  ['18446744073709551615-18446744073709551615', '18446744073709551615-1', '18446744073709551615-1'],
])('of %s and %s, %s is the lower', (a, b, lower) => {
  expect(lowerId(a, b)).toBe(lower);
  expect(lowerId(b, a)).toBe(lower);
});

test.each([
  ['0-0', '0-1'],
  ['10-9', '10-10'],
  ['1-18446744073709551614', '1-18446744073709551615'],
])('the next after %s is %s', (id, next) => {
  expect(nextId(id)).toBe(next);
});
