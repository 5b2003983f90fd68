import { scaledDecimal } from '../../schemas/amounts.ts';
import type { ModelsConfig } from '../../schemas/config/models.ts';
import { rateCardOf } from '../../schemas/config/rate-card.ts';
import { type TokenCounts, tokenCharges } from '../../schemas/config/token-charges.ts';
import type { Usage } from '../../schemas/usage-event.ts';

/** USD for a million tokens, times 10^12, for one token in nano-dollars (10^-9 USD). */
const TO_NANOS = 1_000_000_000n;

/**
 * What a call cost by the rate card at `now`, in epoch milliseconds: whole nano-dollars, rounded up; undefined for a model
 * without a price.
 */
export function nanosOf(usage: Usage, model: string, models: ModelsConfig, now: number): number | undefined {
  const found = rateCardOf(models).at(model, now);
  if (!found) return undefined;
  const exact = tokenCharges(countsOf(usage), found.price).reduce(
    (sum, { price, tokens }) => sum + tokens * scaledDecimal(price),
    0n,
  );
  return Number((exact + TO_NANOS - 1n) / TO_NANOS);
}

/** No more reasoning than output: else what a mistaken report says would cost less than nothing. */
const countsOf = ({ cache_read = 0, cache_write = 0, input = 0, output = 0, reasoning = 0 }: Usage): TokenCounts => ({
  input: BigInt(input),
  output: BigInt(output),
  cache_read: BigInt(cache_read),
  cache_write: BigInt(cache_write),
  reasoning: BigInt(Math.min(reasoning, output)),
});
