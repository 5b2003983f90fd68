import { z } from 'zod';
import { MAX_AMOUNT } from './amounts.ts';
import { FAILURES } from './failures.ts';
import { type Usage, usageSchema } from './usage-event.ts';

const name = z.string().min(1).max(1_024);

const total = (usage: Usage) => Object.values(usage).reduce<number>((sum, amount) => sum + (amount ?? 0), 0);

const headersSchema = z
  .record(z.string().max(256), z.string().max(1_024))
  .refine((headers) => Object.keys(headers).length <= 64, { error: 'must not be more than 64' });

/** The body of `POST /v1/usage`. Amounts are LLM tokens as the provider counts them. */
export const usageReportSchema = z.strictObject({
  decision_id: name,
  /** Whoever speaks for one tenant says which; another tenant's decision is then unknown. */
  tenant_id: name.optional(),
  outcome: z.enum(['succeeded', 'failed', 'cancelled']),
  usage: usageSchema
    .refine((usage) => total(usage) <= MAX_AMOUNT, {
      error: `the amounts together must not exceed ${MAX_AMOUNT}`,
    })
    .optional(),
  /** The model that answered, where it is another one than was asked for. */
  model: name.optional(),
  /** The provider's rate-limit headers, of an answer that succeeded; other headers are ignored. */
  headers: headersSchema.optional(),
  error: z
    .strictObject({
      status: z.int().min(100).max(599).optional(),
      /** Without it the status tells. `quota`: a rate limit that waiting a little does not help against. */
      type: z.enum([...FAILURES, 'quota']).optional(),
      /** Seconds, as the provider's `Retry-After` said. */
      retry_after: z.number().min(0).max(31_536_000).optional(),
      headers: headersSchema.optional(),
    })
    .optional(),
});

export type UsageReport = z.infer<typeof usageReportSchema>;
