import { z } from 'zod';

const KNOWN = new Set(Intl.supportedValuesOf('currency'));

/** A currency of ISO 4217. */
export const currencySchema = z.string().refine((code) => KNOWN.has(code), {
  error: 'must be a currency of ISO 4217 in capitals, such as "USD"',
});

/**
 * Digits after the point, where ISO 4217 has not two. Not those of Intl: it gives what is in use, so that in Node 20 the
 * forint and the rupiah have none, and a newer Node may round the same invoice otherwise.
 */
const MINOR_DIGITS = new Map([
  ...'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF'.split(' ').map((code) => [code, 0] as const),
  ...'BHD IQD JOD KWD LYD OMR TND'.split(' ').map((code) => [code, 3] as const),
]);

/** How many digits after the point an amount to pay has. */
export const minorDigits = (currency: string): number => MINOR_DIGITS.get(currency) ?? 2;
