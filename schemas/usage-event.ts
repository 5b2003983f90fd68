import { z } from 'zod';
import { amountSchema } from './amounts.ts';
import { reasonSchema } from './reasons.ts';

/** The version that this code writes. A reader sends a newer one to the dead letters and reads every older one. */
export const USAGE_EVENT_VERSION = 1;

const usageEventTypeSchema = z.enum(['consumed', 'reserved', 'settled', 'voided', 'expired', 'adjusted', 'denied']);

/** PostgreSQL's text cannot hold NUL: such an event would poison its whole batch. */
const text = z.string().refine((value) => !value.includes('\u0000'), { error: 'must not contain NUL' });
const optionalText = text.optional();
const signed = z.int();
const instant = z.int().min(0);

/** What a model call really used, in LLM tokens, as the provider counts them. */
export const usageSchema = z.strictObject({
  input: amountSchema.optional(),
  output: amountSchema.optional(),
  cache_read: amountSchema.optional(),
  cache_write: amountSchema.optional(),
  reasoning: amountSchema.optional(),
});

/** A boost of a user's budget: negative where it was taken back. */
const budgetGrantSchema = z.object({
  tokens: signed,
  expires_at: instant,
  reason: text,
  /** Who granted it, or took it back. */
  by: text,
});

/**
 * One immutable signed delta: the JSON of field `e` of a usage-stream entry. Instants are epoch milliseconds of the
 * store's clock. All events of one decision carry the same `decided_at`, which selects price and cycle.
 * Never a prompt, an answer, a key or a header.
 */
export const usageEventSchema = z.object({
  v: z.literal(USAGE_EVENT_VERSION),
  /** `<decision_id>:<type>`, so that a redelivered entry is known again; `<decision_id>:revoked:adjusted` of a grant taken back. */
  id: text.min(1),
  type: usageEventTypeSchema,
  decision_id: text.min(1),
  request_id: optionalText,
  run_id: optionalText,
  /** Empty only in the denial of a request that named none. */
  tenant_id: text,
  user_id: optionalText,
  team_id: optionalText,
  project_id: optionalText,
  department_id: optionalText,
  agent_id: optionalText,
  channel: optionalText,
  credential_id: optionalText,
  source_ip: optionalText,
  provider: optionalText,
  model: optionalText,
  candidate: optionalText,
  limits: z.array(
    z.object({
      id: text,
      kind: text,
      unit: text,
      /** Whether this limit's amount is what the tenant is billed for. */
      billed: z.boolean().optional(),
      /** The signed delta in `unit`. */
      amount: signed,
      before: signed,
      after: signed,
      period_start: instant,
    }),
  ),
  usage: usageSchema.optional(),
  /** Of an `adjusted` event, whose `decision_id` is then the id of the grant. */
  grant: budgetGrantSchema.optional(),
  outcome: z.object({ granted: z.boolean(), reason: reasonSchema.or(text) }),
  policy_revision: optionalText,
  degraded: z.boolean().optional(),
  /** How many requests this event stands for: above 1 only for denials counted together. */
  count: z.int().min(1),
  decided_at: instant,
  at: instant,
});

export type UsageEvent = z.infer<typeof usageEventSchema>;
export type UsageEventType = z.infer<typeof usageEventTypeSchema>;
export type Usage = z.infer<typeof usageSchema>;
