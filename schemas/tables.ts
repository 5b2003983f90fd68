import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  check,
  date,
  index,
  jsonb,
  numeric,
  pgTable,
  primaryKey,
  text,
  timestamp,
  unique,
} from 'drizzle-orm/pg-core';
import type { UsageEvent, UsageEventType } from './usage-event.ts';

const instant = () => timestamp({ withTimezone: true, mode: 'date' });
/** Money in USD, as a decimal string in TypeScript. */
const money = () => numeric({ precision: 30, scale: 12 });
/** One event's amount is at most 2^53 − 1; a sum may be more. */
const amount = () => bigint({ mode: 'number' });
const sum = () => bigint({ mode: 'bigint' });

/**
 * The ledger: one row per usage event, never changed. `decided_at` is in the key because a table partitioned by time
 * needs it there; all deliveries of an event carry the same one, so the key still holds each event once.
 */
export const usageEvents = pgTable(
  'usage_events',
  {
    id: text().notNull(),
    type: text().$type<UsageEventType>().notNull(),
    decision_id: text().notNull(),
    request_id: text(),
    run_id: text(),
    tenant_id: text().notNull(),
    user_id: text(),
    team_id: text(),
    project_id: text(),
    department_id: text(),
    agent_id: text(),
    channel: text(),
    credential_id: text(),
    source_ip: text(),
    provider: text(),
    /** The model that was asked for. */
    model: text(),
    /** The model that was chosen. */
    candidate: text(),
    requests: amount().notNull(),
    denied: amount().notNull(),
    /** The signed sum of what this event's billed limits took, in bucket tokens. */
    tokens: sum().notNull(),
    /** LLM tokens as the provider counted them; null where it was not reported. */
    input_tokens: amount(),
    output_tokens: amount(),
    cache_read_tokens: amount(),
    cache_write_tokens: amount(),
    reasoning_tokens: amount(),
    price_per_token: money().notNull(),
    /** tokens × price_per_token, exact. */
    cost_usd: money().notNull(),
    limits: jsonb().$type<UsageEvent['limits']>().notNull(),
    /** Of an `adjusted` event: the boost of a user's budget that was given, or, with negative tokens, taken back. */
    budget_grant: jsonb().$type<UsageEvent['grant']>(),
    granted: boolean().notNull(),
    reason: text().notNull(),
    policy_revision: text(),
    degraded: boolean().notNull(),
    /** The tenant's billing cycle that holds `decided_at`, half-open. */
    cycle_start: instant().notNull(),
    cycle_end: instant().notNull(),
    /** The date of `decided_at` in the tenant's time zone. */
    day: date({ mode: 'string' }).notNull(),
    decided_at: instant().notNull(),
    at: instant().notNull(),
    stream_id: text().notNull(),
    recorded_at: instant().notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ name: 'usage_events_pk', columns: [table.id, table.decided_at] }),
    index().on(table.tenant_id, table.decided_at),
    index().using('brin', table.decided_at),
    check(
      'usage_events_decided_within_cycle',
      sql`${table.decided_at} >= ${table.cycle_start} and ${table.decided_at} < ${table.cycle_end}`,
    ),
  ],
);

/**
 * What the ledger sums up to, kept in the transaction that inserts its rows. '' stands for "none" in the key, because
 * two NULLs do not conflict. `model` is the one that was chosen, else the one asked for.
 */
export const usageRollups = pgTable(
  'usage_rollups',
  {
    tenant_id: text().notNull(),
    cycle_start: instant().notNull(),
    cycle_end: instant().notNull(),
    day: date({ mode: 'string' }).notNull(),
    user_id: text().notNull(),
    team_id: text().notNull(),
    project_id: text().notNull(),
    model: text().notNull(),
    requests: sum().notNull(),
    denied: sum().notNull(),
    tokens: sum().notNull(),
    input_tokens: sum().notNull(),
    output_tokens: sum().notNull(),
    cost_usd: money().notNull(),
  },
  (table) => [
    primaryKey({
      name: 'usage_rollups_pk',
      columns: [
        table.tenant_id,
        table.cycle_start,
        table.cycle_end,
        table.day,
        table.user_id,
        table.team_id,
        table.project_id,
        table.model,
      ],
    }),
    index().on(table.cycle_end),
  ],
);

/** Stream entries that could not become a ledger row, whole, so that they can be replayed. */
export const deadLetters = pgTable(
  'dead_letters',
  {
    id: bigint({ mode: 'bigint' }).primaryKey().generatedAlwaysAsIdentity(),
    stream: text().notNull(),
    stream_id: text().notNull(),
    /** The entry's text; null if it had none. NUL, which `text` cannot hold, is written as `\u0000`. */
    raw: text(),
    /** SHA-256 of the text: after a loss of the stream its ids begin anew, and another entry may have the same one. */
    digest: text().notNull(),
    reason: text().notNull(),
    at: instant().notNull().defaultNow(),
  },
  (table) => [unique('dead_letters_entry').on(table.stream, table.stream_id, table.digest)],
);
