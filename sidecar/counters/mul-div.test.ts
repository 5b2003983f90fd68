import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mulDiv } from './mul-div.ts';

test('equals BigInt arithmetic wherever the quotient fits into a double', () => {
  const below = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 }).map(Math.floor);
  fc.assert(
    fc.property(fc.maxSafeInteger().map(Math.abs), below(53), below(47), (a, b, d) => {
      fc.pre(d > 0 && (BigInt(a) * BigInt(b)) / BigInt(d) < 2n ** 53n);
      const product = BigInt(a) * BigInt(b);
      const exact = { quotient: Number(product / BigInt(d)), remainder: Number(product % BigInt(d)) };
      expect(mulDiv(a, b, d)).toEqual(exact);
    }),
    { numRuns: 20_000 },
  );
});

test('a product far above 2^53 is exact', () => {
  expect(mulDiv(86_399_999, 140_737_488_355_327, 86_400_000)).toEqual({
    quotient: Number((86_399_999n * 140_737_488_355_327n) / 86_400_000n),
    remainder: Number((86_399_999n * 140_737_488_355_327n) % 86_400_000n),
  });
});
