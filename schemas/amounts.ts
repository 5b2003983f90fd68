import { z } from 'zod';

/** Amounts are whole numbers from 0 to 2^53 − 1: beyond that a double rounds, and a rounded bill is a wrong bill. */
export const MAX_AMOUNT = Number.MAX_SAFE_INTEGER;

/**
 * What one refill may add, and how many milliseconds one may span: below 2^47, so that the counters' exact
 * multiplication (`mul-div`) stays within doubles. As money this is 140,737 USD in nano-dollars.
 */
export const MAX_REFILL = 2 ** 47 - 1;

export const amountSchema = z
  .int({ error: `must be a whole number from 0 to ${MAX_AMOUNT}` })
  .min(0, { error: `must be a whole number from 0 to ${MAX_AMOUNT}` });

/** A price or sum of money as a decimal string, at most 12 places: what `numeric(30,12)` holds. */
export const decimalSchema = z
  .string({ error: 'must be a decimal number in quotes, such as "0.0001"' })
  .regex(/^\d{1,18}(\.\d{1,12})?$/, { error: 'must be a decimal number in quotes, such as "0.0001"' });

/** Places of a `decimalSchema`. */
export const DECIMAL_PLACES = 12;

/** Such a decimal as a whole number of 10^-12, so that products and sums of it are exact. */
export function scaledDecimal(decimal: string): bigint {
  const [whole = '0', fraction = ''] = decimal.split('.');
  return BigInt(whole + fraction.padEnd(DECIMAL_PLACES, '0'));
}
