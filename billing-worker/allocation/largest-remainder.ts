/**
 * Splits a whole amount by weights, so that the parts sum to it (the method of the largest remainder): each weight gets
 * its exact part rounded down, and the units that are left go one each to the largest remainders, of equal ones to the
 * earlier. No part is off by a whole unit, and a part that is exact stays so.
 * `amount` and weights must not be negative, and the weights' sum must not be zero.
 */
export function largestRemainder(amount: bigint, weights: readonly bigint[]): bigint[] {
  const sum = weights.reduce((all, weight) => all + weight, 0n);
  const parts = weights.map((weight) => (amount * weight) / sum);
  const remainders = weights.map((weight, index) => ({ index, remainder: (amount * weight) % sum }));
  const left = amount - parts.reduce((all, part) => all + part, 0n);
  remainders.sort((a, b) => descending(a.remainder, b.remainder) || a.index - b.index);
  for (const { index } of remainders.slice(0, Number(left))) parts[index] = (parts[index] as bigint) + 1n;
  return parts;
}

const descending = (a: bigint, b: bigint) => Number(a < b) - Number(a > b);
