/** Places of a price: what `numeric(30,12)` holds. */
const PLACES = 12;

/** Money as a whole number of 10^-12, so that sums of it are exact. */
export function costOf(units: number, price: string): bigint {
  const [whole = '0', fraction = ''] = price.split('.');
  return BigInt(units) * BigInt(whole + fraction.padEnd(PLACES, '0'));
}

/** `1.00`, `0.0001`, `-12.50` */
export function formatMoney(amount: bigint): string {
  const digits = String(amount < 0n ? -amount : amount).padStart(PLACES + 1, '0');
  const fraction = digits.slice(-PLACES).replace(/0+$/, '').padEnd(2, '0');
  return `${amount < 0n ? '-' : ''}${digits.slice(0, -PLACES)}.${fraction}`;
}
