/** What an invoice is divided by, each a sum over the ledger's rows. */
const METHODS = {
  requests: 'sum(requests)',
  /** Bucket tokens, as `/v1/usage` tells them. */
  tokens: 'sum(tokens)',
  /** As providers count them, of the calls that were reported. Reasoning is part of the output. */
  llm_tokens: `sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)
    + coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0))`,
  cost: 'sum(cost_usd)',
} as const;

export type Method = keyof typeof METHODS;

export const METHOD_NAMES = Object.keys(METHODS) as [Method, ...Method[]];

export const sumOf = (method: Method): string => METHODS[method];
