/** Fractions in lowest terms, with a positive denominator: arithmetic that shares nothing with the decimals it is compared with. */
export type Rational = readonly [numerator: bigint, denominator: bigint];

export const ZERO: Rational = [0n, 1n];

export const plus = ([a, b]: Rational, [c, d]: Rational): Rational => lowest(a * d + c * b, b * d);
export const minus = (a: Rational, [c, d]: Rational): Rational => plus(a, [-c, d]);
export const times = ([a, b]: Rational, [c, d]: Rational): Rational => lowest(a * c, b * d);

/** Of a decimal, digit by digit. */
export function rational(decimal: string): Rational {
  const isNegative = decimal.startsWith('-');
  let [numerator, denominator, isFraction] = [0n, 1n, false];
  for (const character of isNegative ? decimal.slice(1) : decimal) {
    if (character === '.') isFraction = true;
    else {
      numerator = numerator * 10n + BigInt(character);
      if (isFraction) denominator *= 10n;
    }
  }
  return lowest(isNegative ? -numerator : numerator, denominator);
}

/** Of the two neighbours with so many places the nearer one; of two that are as near, the one farther from zero. */
export function toPlaces([a, b]: Rational, places: number): string {
  const scale = 10n ** BigInt(places);
  const size = a < 0n ? -a : a;
  let units = (size * scale) / b;
  const [below, above] = [size * scale - units * b, (units + 1n) * b - size * scale];
  if (below >= above) units += 1n;
  const text = units.toString().padStart(places + 1, '0');
  const point = text.length - places;
  const sign = a < 0n && units > 0n ? '-' : '';
  return `${sign}${text.slice(0, point)}${places ? '.' : ''}${text.slice(point)}`;
}

function lowest(numerator: bigint, denominator: bigint): Rational {
  let [a, b] = [numerator < 0n ? -numerator : numerator, denominator];
  while (b) [a, b] = [b, a % b];
  return [numerator / a, denominator / a];
}
