import { z } from 'zod';
import { amountSchema, MAX_REFILL } from './amounts.ts';
import { FAILURES } from './failures.ts';
import { reasonSchema } from './reasons.ts';
import { isTimeZone } from './time-zone.ts';

/**
 * What the two entrypoints of a metered package take and give. The shapes are strict: a policy that misspells a key
 * is told so, and its request is denied with `policy_error`.
 */

/** Room for an id made of a few names, each of 256 characters at most. */
const name = z.string().min(1).max(1_024);

/**
 * Whose counters, or gates: the tenant's own, or those that all tenants share at one provider account, such as
 * `shared:anthropic-main`.
 */
const scopeSchema = z.union([z.literal('tenant'), z.templateLiteral(['shared:', z.string().min(1).max(256)])], {
  error: 'must be "tenant" or "shared:" and the name of a provider account',
});

const refillSchema = z.strictObject({
  /** What one refill adds, in the limit's unit. */
  amount: z.int().min(1).max(MAX_REFILL),
  per_seconds: z
    .int()
    .min(1)
    .max(Math.floor(MAX_REFILL / 1000)),
  /**
   * `continuous`: drop by drop. `interval`: the whole amount at the end of each interval; an interval begins with the
   * first use of a full bucket.
   */
  mode: z.enum(['continuous', 'interval']),
});

const windowSchema = z.strictObject({
  period: z.enum(['day', 'week', 'month']),
  /** Local time at which the period begins. A time that the day's clocks skip is the first instant after it. */
  reset_time: z
    .string()
    .regex(/^([01]\d|2[0-3]):[0-5]\d$/)
    .default('00:00'),
  /** Day of the month, or ISO weekday, on which the period begins. A month without that day: its last one. */
  reset_day: z.int().min(1).max(31).default(1),
  timezone: z
    .string()
    .refine(isTimeZone, { error: 'must be an IANA time zone, such as "Europe/Berlin"' })
    .default('UTC'),
  /** What is left at a reset is added to the next period, `max` at most. */
  rollover: z.strictObject({ max: amountSchema }).optional(),
});

const common = {
  id: name,
  subject: z.strictObject({ type: name, id: name }),
  unit: z.enum(['tokens', 'requests', 'usd', 'concurrent']),
  capacity: amountSchema,
  cost: amountSchema,
  /** `true`: the cost is an estimate that `POST /v1/usage` corrects. `false`: final. */
  settles: z.boolean().default(false),
  /** `true`: what this limit takes is what the tenant is billed for, as tokens at the plan's price per token. */
  billed: z.boolean().default(false),
  /** Percent of the capacity. Each is announced once per period, in whatever answer crosses it first. */
  thresholds: z.array(z.int().min(1).max(1_000)).max(16).default([]),
  /** `deny`: no room refuses the whole request. `flag`: taken anyway, and the decision is told. */
  on_exceed: z.enum(['deny', 'flag']).default('deny'),
  scope: scopeSchema.default('tenant'),
  /** Of `tokens`: which of them a report corrects it by; all of them if not given. */
  counts: z.enum(['input_tokens', 'output_tokens']).optional(),
};

/** One counter and its rule. `id` names the counter within its subject. */
const limitSchema = z.discriminatedUnion('kind', [
  z.strictObject({ ...common, kind: z.literal('token_bucket'), refill: refillSchema }),
  /** Counts within periods of the calendar. */
  z.strictObject({ ...common, kind: z.literal('window'), window: windowSchema }),
  /** Counts what is in flight: held from the decision until it is settled, voided or expired. */
  z.strictObject({ ...common, kind: z.literal('concurrency') }),
]);

/**
 * Why a candidate is passed over: what came of its last attempt in this run, its cooldown or a limit that it shares
 * (`rate_limit`), its open circuit (`timeout` and `unavailable` alike), a limit of the tenant's own (`budget`).
 */
const passedOverSchema = z.enum([...FAILURES, 'budget']);

const candidateSchema = z.strictObject({
  model: name,
  limits: z.array(limitSchema).max(32).default([]),
  /** Names of switches, each open unless it was closed until some instant: one that is closed passes the model over. */
  gates: z.array(name).max(16).default([]),
  /** Whose the gates are; that of the shared limits where it is not given. */
  scope: scopeSchema.optional(),
  /** Taken only where each candidate before it was passed over for one of these; without it, for whatever reason. */
  on: z.array(passedOverSchema).max(16).optional(),
});

const refusalSchema = z.strictObject({
  reason: reasonSchema,
  status: z.int().min(400).max(599),
  message: z.string(),
});

const uniqueIds = (limits: { id: string }[]) => new Set(limits.map((limit) => limit.id)).size === limits.length;

/** Of limits and of candidates: the scopes that are no tenant's. */
const sharedScopes = (scoped: { scope?: string | undefined }[]) =>
  new Set(scoped.flatMap(({ scope }) => (scope === undefined || scope === 'tenant' ? [] : [scope])));

/** The document `<pkg>/plan`: what a request draws on, or why it is refused before anything is taken. */
export const planSchema = z
  .strictObject({
    refuse: refusalSchema.optional(),
    limits: z.array(limitSchema).max(32).default([]),
    /** Models in the order of preference. Empty: the request is decided by `limits` alone. */
    candidates: z.array(candidateSchema).max(16).default([]),
    /** `true`: the decision sees exact numbers, and is not memoised. */
    raw_counters: z.boolean().default(false),
    /** So many takes may one run make: a call that failed, and was reported so, is tried anew under the same `run_id`. */
    max_attempts: z.int().min(1).max(16).optional(),
  })
  .refine(
    (plan) =>
      (plan.candidates.length ? plan.candidates : [{ limits: [] }]).every((c) =>
        uniqueIds([...plan.limits, ...c.limits]),
      ),
    {
      error: 'two limits of one request have the same id',
    },
  )
  .refine(
    (plan) =>
      (plan.candidates.length ? plan.candidates : [{ limits: [], scope: undefined }]).every(
        (c) => sharedScopes([...plan.limits, ...c.limits, c]).size <= 1,
      ),
    {
      error: 'a candidate and its limits, together with the common ones, share with more than one provider account',
    },
  );

/** The document `<pkg>/decision`. Its `message` may hold `{placeholders}`, filled in after the evaluation. */
export const decisionSchema = z.strictObject({
  allow: z.boolean(),
  reason: reasonSchema,
  status: z.int().min(100).max(599),
  message: z.string(),
  warnings: z.array(z.string()).default([]),
  /**
   * Ids of the limits that decided: their numbers are told, and how long to wait. Footer and warnings tell those of the user's
   * own limits where there are any.
   */
  about: z.array(name).optional(),
  obligations: z
    .strictObject({
      force_model: name.optional(),
      footer: z.string().optional(),
      notify: z.array(z.record(z.string(), z.unknown())).optional(),
    })
    .default({}),
});

export type Limit = z.infer<typeof limitSchema>;
export type TokenBucket = Extract<Limit, { kind: 'token_bucket' }>;
export type Concurrency = Extract<Limit, { kind: 'concurrency' }>;
export type CalendarWindow = Extract<Limit, { kind: 'window' }>;
export type Scope = z.infer<typeof scopeSchema>;
export type Candidate = z.infer<typeof candidateSchema>;
export type Plan = z.infer<typeof planSchema>;
export type Decision = z.infer<typeof decisionSchema>;

/** How one limit came out. The band fields are what a policy sees; the numbers beside them only with `raw_counters`. */
export interface LimitOutcome {
  id: string;
  granted: boolean;
  /** In use above its capacity, whether refused (`deny`) or taken all the same (`flag`). */
  over: boolean;
  /** Thresholds that this answer crosses, and no other before it in the period. */
  crossed: number[];
  on_exceed: 'deny' | 'flag';
  capacity: number;
  /** In use before and after this take; equal when nothing was taken. */
  before: number;
  used: number;
  remaining: number;
  used_percent: number;
  /** Epoch milliseconds at which the counter is empty again if nothing more is taken. */
  reset_at: number;
  /** Milliseconds until this cost would have room; 0 with room, null if it never has (cost above the capacity). */
  retry_after_ms: number | null;
}

/** What a candidate was passed over for. */
export interface ClosedGate {
  /**
   * The name of a gate that is closed, or `limit:<id>` of a shared limit that is short, `budget:<id>` of one of the tenant's own,
   * `failed:<failure>` where it has failed in this run, `on:<why>` where it is no candidate for why one before it was passed
   * over, `attempts` where the run has made as many as it may.
   */
  gate: string;
  candidate: string;
  /** Epoch milliseconds until which it is closed; `MAX_AMOUNT`: until it is opened, or for good. */
  until: number;
}

/** What the take came to: the `input.outcome` of the decision, in full. */
export interface Outcome {
  granted: boolean;
  /** The chosen candidate's model; null if the plan names none or none had room. */
  candidate: string | null;
  /** What candidates were passed over for, in their order. */
  closed: ClosedGate[];
  limits: LimitOutcome[];
}
