import { MAX_REFILL } from '../../schemas/amounts.ts';
import { limitsOf, type ProviderAccount } from '../../schemas/config/providers.ts';
import type { CalendarWindow, Limit, TokenBucket } from '../../schemas/policy-io.ts';

/** A model at the account that serves it. */
export interface Served {
  account: ProviderAccount;
  /** Of the account. */
  name: string;
  model: string;
}

/**
 * The limits of an account, or of a model where each has them for itself, that cost nothing: the same counters as
 * `policies/lib/providers` draws on, to read and to correct them.
 */
export function providerLimits({ account, model, name }: Served): Limit[] {
  const limits = limitsOf(account);
  const id = account.per === 'model' ? `${name}/${model}` : name;
  const common = {
    subject: { type: 'provider', id },
    cost: 0,
    billed: false,
    thresholds: [],
    on_exceed: 'deny' as const,
    scope: `shared:${name}` as const,
  };
  const bucket = (what: string, capacity: number | undefined, rule: Partial<TokenBucket>): TokenBucket[] =>
    capacity === undefined
      ? []
      : [
          {
            ...common,
            id: `provider:${id}:${what}`,
            unit: 'tokens',
            settles: true,
            ...rule,
            kind: 'token_bucket',
            capacity,
            refill: { amount: Math.min(capacity, MAX_REFILL), per_seconds: 60, mode: 'continuous' },
          },
        ];
  const day = (capacity: number | undefined): CalendarWindow[] =>
    capacity === undefined
      ? []
      : [
          {
            ...common,
            id: `provider:${id}:requests:day`,
            unit: 'requests',
            settles: false,
            kind: 'window',
            capacity,
            window: { period: 'day', reset_time: '00:00', reset_day: 1, timezone: limits.timezone },
          },
        ];
  return [
    ...bucket('requests', limits.requests_per_minute, { unit: 'requests', settles: false }),
    ...bucket('tokens', limits.tokens_per_minute, {}),
    ...bucket('input_tokens', limits.input_tokens_per_minute, { counts: 'input_tokens' }),
    ...bucket('output_tokens', limits.output_tokens_per_minute, { counts: 'output_tokens' }),
    ...day(limits.requests_per_day),
  ];
}
