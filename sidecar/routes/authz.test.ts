import { expect, test } from 'vitest';
import { refusalStatus } from './authz.ts';

test.each([
  [429, 429],
  [401, 401],
  [503, 503],
  [200, 403],
  [204, 403],
  [302, 403],
  [100, 403],
])('a denial with status %i is answered with %i', (status, answered) => {
  expect(refusalStatus({ status })).toBe(answered);
});
