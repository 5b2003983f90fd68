import { DECIMAL_PLACES, scaledDecimal } from '../../../schemas/amounts.ts';

/** Money as a whole number of 10^-12, so that sums of it are exact. */
export const costOf = (units: number, price: string): bigint => BigInt(units) * scaledDecimal(price);

/** `1.00`, `0.0001`, `-12.50` */
export function formatMoney(amount: bigint): string {
  const digits = String(amount < 0n ? -amount : amount).padStart(DECIMAL_PLACES + 1, '0');
  const fraction = digits.slice(-DECIMAL_PLACES).replace(/0+$/, '').padEnd(2, '0');
  return `${amount < 0n ? '-' : ''}${digits.slice(0, -DECIMAL_PLACES)}.${fraction}`;
}
