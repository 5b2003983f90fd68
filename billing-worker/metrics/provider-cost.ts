import type { ModelsConfig } from '../../schemas/config/models.ts';
import { rateCardOf } from '../../schemas/config/rate-card.ts';
import { tokenCharges } from '../../schemas/config/token-charges.ts';
import type { LedgerRow } from '../ledger/ledger-row.ts';

/**
 * Millionths of a USD that the provider asks for a call, by the rate card when it was decided; 0 for a model without a price, which
 * `openclaw_billing_held_events` tells. A metric is a double, and so is this: an invoice is exact, and made elsewhere.
 */
export function providerCost(row: LedgerRow, model: string, models: ModelsConfig): number {
  const found = rateCardOf(models).at(model, row.decided_at.getTime());
  if (!found) return 0;
  const output = row.output_tokens ?? 0;
  const counts = {
    input: BigInt(row.input_tokens ?? 0),
    output: BigInt(output),
    cache_read: BigInt(row.cache_read_tokens ?? 0),
    cache_write: BigInt(row.cache_write_tokens ?? 0),
    reasoning: BigInt(Math.min(row.reasoning_tokens ?? 0, output)),
  };
  // A price is for a million tokens, in USD.
  return tokenCharges(counts, found.price).reduce((sum, { price, tokens }) => sum + Number(tokens) * Number(price), 0);
}
