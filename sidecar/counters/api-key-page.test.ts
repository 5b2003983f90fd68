import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ApiKeyPage } from './api-key-page.ts';

const ids = fc.array(fc.string({ minLength: 1, maxLength: 3, unit: fc.constantFrom('a', 'B', '1', '_') }), {
  maxLength: 60,
});

test('it tells what sorting all of them would, whatever their order and however often they come', () => {
  fc.assert(
    fc.property(
      ids,
      fc.string({ maxLength: 2, unit: 'grapheme-ascii' }),
      fc.integer({ min: 1, max: 9 }),
      (given, after, limit) => {
        const page = new ApiKeyPage({ after, limit });
        for (const id of given) page.add(id);
        const all = [...new Set(given)].sort().filter((id) => id > after);
        const told = all.slice(0, limit);
        expect(page.isFull).toBe(all.length > limit);
        expect(page.end()).toEqual({ ids: told, next: all.length > limit ? told.at(-1) : undefined });
      },
    ),
  );
});

test.each([
  [5_000, 1_000],
  [1_000, 1_000],
  [2.9, 2],
  [0, 1],
  [-1, 1],
  [Number.NaN, 1],
])('of a limit of %s it tells %s', (limit, told) => {
  const page = new ApiKeyPage({ limit });
  for (let n = 9_999; n >= 1_000; n--) page.add(String(n));
  expect(page.end().ids).toHaveLength(told);
});
