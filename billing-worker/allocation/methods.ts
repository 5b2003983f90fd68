/** Where a method's usage is: a table with `tenant_id` and `team_id`, its instant, and a sum over its rows. */
export interface Source {
  table: string;
  instant: string;
  sum: string;
}

const ofLedger = (sum: string): Source => ({ table: 'usage_events', instant: 'decided_at', sum });
const ofGateway = (sum: string): Source => ({ table: 'gateway_requests', instant: 'at', sum });

/** Who was refused has used nothing of the provider, whether the sidecar, the gateway or the provider said so. */
const REFUSED = 'status in (401, 403, 413, 429)';

/** What an invoice is divided by. */
const METHODS = {
  requests: ofLedger('sum(requests)'),
  bytes: ofGateway(`coalesce(sum(coalesce(bytes_in, 0) + coalesce(bytes_out, 0)) filter (where not ${REFUSED}), 0)`),
  /** Bucket tokens, as `/v1/usage` tells them. */
  tokens: ofLedger('sum(tokens)'),
  /** As providers count them, of the calls that were reported. Reasoning is part of the output. */
  llm_tokens: ofLedger(`sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)
    + coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0))`),
  cost: ofLedger('sum(cost_usd)'),
} as const;

export type Method = keyof typeof METHODS;

export const METHOD_NAMES = Object.keys(METHODS) as [Method, ...Method[]];

export const sourceOf = (method: Method): Source => METHODS[method];
