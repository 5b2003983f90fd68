import { NotSent } from '../exports/target.ts';
import { exact } from '../pricing/exact.ts';

/** https://docs.stripe.com/currencies: Stripe's own digits, which are not those of ISO 4217 for ISK, UGX and MGA. */
const NO_DIGITS = new Set('BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF'.split(' '));
const THREE_DIGITS = new Set('BHD JOD KWD OMR TND'.split(' '));

const digitsAtStripe = (currency: string) => (NO_DIGITS.has(currency) ? 0 : THREE_DIGITS.has(currency) ? 3 : 2);

const PLACES = 24;

/** An amount as Stripe counts it: 12.34 USD as 1234, 500 JPY as 500, 5 ISK as 500. Throws `NotSent` if that is not a whole number. */
export function minorUnits(amount: string, currency: string): number {
  const unit = 10n ** BigInt(PLACES - digitsAtStripe(currency));
  const value = exact(amount);
  const units = value / unit;
  const inRange = units <= BigInt(Number.MAX_SAFE_INTEGER) && units >= BigInt(Number.MIN_SAFE_INTEGER);
  if (value % unit === 0n && inRange) return Number(units);
  throw new NotSent(`Stripe cannot bill ${amount} ${currency}: it is no whole number of its smallest units`, {
    final: true,
  });
}

/** Of currencies with three digits Stripe takes payments in whole tens alone. Throws `NotSent` for a total that is none. */
export function payableUnits(total: string, currency: string): number {
  const units = minorUnits(total, currency);
  if (!THREE_DIGITS.has(currency) || units % 10 === 0) return units;
  throw new NotSent(`Stripe cannot bill ${total} ${currency}: the last of its three digits must be 0`, { final: true });
}
