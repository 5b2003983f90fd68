import { scaledDecimal } from '../../schemas/amounts.ts';
import type { ModelsConfig } from '../../schemas/config/models.ts';
import type { Usage } from '../../schemas/usage-event.ts';

/** USD for a million tokens, times 10^12, for one token in nano-dollars (10^-9 USD). */
const TO_NANOS = 1_000_000_000n;

type Price = ModelsConfig['models'][string];

/**
 * What a call cost by the rate card, in whole nano-dollars, rounded up; undefined for a model without a price. Tokens read from
 * or written to a cache are priced as the prompt's; reasoning is part of the answer.
 */
export function nanosOf(usage: Usage, model: string, { models }: ModelsConfig): number | undefined {
  const prices = pricesOf(model, models).map((price) => cost(usage, price));
  const [dearest] = prices.toSorted((a, b) => (a < b ? 1 : -1));
  return dearest === undefined ? undefined : Number((dearest + TO_NANOS - 1n) / TO_NANOS);
}

/** By its id, else by an alias; if two claim one alias, the dearer counts. */
function pricesOf(name: string, models: ModelsConfig['models']): Price[] {
  const own = Object.hasOwn(models, name) ? models[name] : undefined;
  const found = own ? [own] : Object.values(models).filter(({ aliases }) => aliases.includes(name));
  return found.filter(({ input, output }) => input !== undefined || output !== undefined);
}

function cost({ cache_read = 0, cache_write = 0, input = 0, output = 0 }: Usage, price: Price): bigint {
  const ofPrompt = BigInt(input + cache_read + cache_write) * scaledDecimal(price.input ?? '0');
  return ofPrompt + BigInt(output) * scaledDecimal(price.output ?? '0');
}
