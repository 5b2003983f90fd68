/**
 * Decimals as whole numbers of 10^-24: tokens of a model at a price of 12 places for a million of them have 18, a markup in
 * percent with 4 places has 6 more.
 */
export type Exact = bigint;

const PLACES = 24;
const ONE = 10n ** BigInt(PLACES);
const PRICE_PLACES = 12n;

/** Throws RangeError for what is not a decimal of at most 24 places: `3.00`, `-0.5`. */
export function exact(decimal: string): Exact {
  const [, sign = '', whole = '', fraction = ''] = /^(-?)(\d+)(?:\.(\d{1,24}))?$/.exec(decimal) ?? [];
  if (whole === '') throw new RangeError(`${JSON.stringify(decimal)} is not a decimal of at most ${PLACES} places`);
  return BigInt(`${sign}${whole}${fraction.padEnd(PLACES, '0')}`);
}

/** `quantity × price / per`. Throws RangeError where that has more places than it can keep, rather than lose one. */
export function product(quantity: string, price: string, per: number): Exact {
  const scaled = exact(quantity) * exact(price);
  const scale = ONE * BigInt(per);
  if (scaled % scale) throw new RangeError(`${quantity} × ${price} / ${per} has more than ${PLACES} places`);
  return scaled / scale;
}

/** Without needless zeros: `3.703701`, `0`, `-12.5`. */
export const shown = (value: Exact): string => fixed(value, PLACES).replace(/\.?0+$/, '');

/** Half away from zero. */
export function rounded(value: Exact, places: number): Exact {
  const unit = 10n ** BigInt(PLACES - places);
  const units = (magnitude(value) + unit / 2n) / unit;
  return (value < 0n ? -units : units) * unit;
}

/** With so many places; further ones are cut off. */
export function fixed(value: Exact, places: number): string {
  const digits = magnitude(value)
    .toString()
    .padStart(PLACES + 1, '0');
  const whole = digits.slice(0, -PLACES);
  const fraction = digits.slice(-PLACES).slice(0, places);
  const sign = value < 0n && /[1-9]/.test(whole + fraction) ? '-' : '';
  return `${sign}${whole}${fraction && '.'}${fraction}`;
}

/** Part of an amount that is not negative, to 12 places, half up. */
export const prorated = (amount: string, part: bigint, whole: bigint): Exact => {
  const unit = 10n ** (BigInt(PLACES) - PRICE_PLACES);
  return ((2n * exact(amount) * part + whole * unit) / (2n * whole * unit)) * unit;
};

const magnitude = (value: bigint) => (value < 0n ? -value : value);
