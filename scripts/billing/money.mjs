/**
 * Adds decimals as whole numbers, so that nothing is rounded: `["1.10", "-0.2"]` is `"0.90"`.
 * @param {string[]} decimals
 */
export function sum(decimals) {
  const places = Math.max(0, ...decimals.map((decimal) => decimal.split('.')[1]?.length ?? 0));
  const total = decimals.reduce((all, decimal) => all + scaled(decimal, places), 0n);
  const digits = String(total < 0n ? -total : total).padStart(places + 1, '0');
  const whole = digits.slice(0, digits.length - places);
  return `${total < 0n ? '-' : ''}${whole}${places ? `.${digits.slice(-places)}` : ''}`;
}

/**
 * @param {string} decimal
 * @param {number} places
 */
function scaled(decimal, places) {
  const [, sign, whole, fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(decimal) ?? [];
  if (whole === undefined) throw new Error(`${JSON.stringify(decimal)} is no amount`);
  return BigInt(`${sign}${whole}${fraction.padEnd(places, '0')}`);
}

/**
 * Sums of amounts, by currency.
 * @param {{ currency: string, total: string }[]} amounts
 * @returns {Record<string, string>}
 */
export function byCurrency(amounts) {
  const currencies = [...new Set(amounts.map(({ currency }) => currency))].sort();
  return Object.fromEntries(
    currencies.map((currency) => [
      currency,
      sum(amounts.filter((one) => one.currency === currency).map(({ total }) => total)),
    ]),
  );
}
