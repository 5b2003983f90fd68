import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  check,
  date,
  index,
  integer,
  jsonb,
  numeric,
  pgTable,
  primaryKey,
  text,
  timestamp,
  unique,
} from 'drizzle-orm/pg-core';
import type { ApiKey } from './api-key.ts';
import type { AuditAction } from './audit-event.ts';
import type { UsageEvent, UsageEventType } from './usage-event.ts';

export * from './delivery-tables.ts';
export * from './invoice-tables.ts';
export * from './page-tables.ts';

const instant = () => timestamp({ withTimezone: true, mode: 'date' });
/** Money in USD, as a decimal string in TypeScript. */
const money = () => numeric({ precision: 30, scale: 12 });
/** One event's amount is at most 2^53 − 1; a sum may be more. */
const amount = () => bigint({ mode: 'number' });
const sum = () => bigint({ mode: 'bigint' });

/**
 * The ledger: one row per usage event, never changed. It is partitioned by the UTC month of `decided_at`, which drizzle
 * cannot say: the migration does, and `billing-worker/partitions` makes one month after the other. `decided_at` is in the key
 * because a partitioned table needs it there; all deliveries of an event carry the same one, so the key still holds each event once.
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
    // For what came after the invoice of its cycle.
    index().using('brin', table.recorded_at),
    // For the audit, which asks by time, the newest first, for a few among all that was allowed.
    index('usage_events_denied').on(table.at, table.id).where(sql`${table.type} = 'denied'`),
    index('usage_events_denied_tenant').on(table.tenant_id, table.at, table.id).where(sql`${table.type} = 'denied'`),
    index('usage_events_denied_user')
      .on(table.user_id, table.at, table.id)
      .where(sql`${table.type} = 'denied' and ${table.user_id} is not null`),
    index('usage_events_denied_credential')
      .on(table.credential_id, table.at, table.id)
      .where(sql`${table.type} = 'denied' and ${table.credential_id} is not null`),
    index('usage_events_budget_grants').on(table.at, table.id).where(sql`${table.budget_grant} is not null`),
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
    /** A worker that does not give it knows only the columns before it, and its rollups would drift: it must wait. */
    cache_read_tokens: sum()
      .notNull()
      .default(sql`case when "require"(false, 'this billing worker is older than its database') then 0 end`),
    cache_write_tokens: sum().notNull(),
    reasoning_tokens: sum().notNull(),
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

/** Months of the ledger that retention has dropped: of these, and of no other, the rollups are more than the ledger's sum. */
export const droppedMonths = pgTable('usage_months_dropped', {
  /** `2026-01`, of UTC; as often as it was dropped, for late usage makes it anew. */
  month: text().notNull(),
  dropped_at: instant().notNull().defaultNow(),
});

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
    /** When it could be read after all, and what it says was in the ledger. */
    replayed_at: instant(),
  },
  (table) => [unique('dead_letters_entry').on(table.stream, table.stream_id, table.digest)],
);

/**
 * What was done to the system, one row per audit event. A trigger, which the migration makes, refuses to change or to delete
 * any of it.
 */
export const auditEvents = pgTable(
  'audit_events',
  {
    id: text().primaryKey(),
    action: text().$type<AuditAction>().notNull(),
    actor: text().notNull(),
    source_ip: text(),
    tenant_id: text(),
    target: text(),
    reason: text(),
    /** The states of the keys that it changed, without their digests. */
    api_keys: jsonb().$type<Omit<ApiKey, 'digest'>[]>(),
    at: instant().notNull(),
    stream_id: text().notNull(),
    recorded_at: instant().notNull().defaultNow(),
  },
  (table) => [
    index().on(table.at, table.id),
    index().on(table.tenant_id, table.at, table.id),
    index().on(table.actor, table.at, table.id),
    index().on(table.action, table.at, table.id),
    index().on(table.target, table.at, table.id),
    // For all that was done to a key, or to the keys of a user.
    index().using('gin', table.api_keys.op('jsonb_path_ops')),
  ],
);

/** The latest state of each API key, from which the store is filled again after it was lost. */
export const apiKeys = pgTable(
  'api_keys',
  {
    id: text().primaryKey(),
    /** Of the store, as the id says. */
    partition: integer().notNull(),
    revision: amount().notNull(),
    digest: text().notNull(),
    name: text(),
    tenant_id: text().notNull(),
    team_id: text(),
    user_id: text(),
    created_at: instant().notNull(),
    created_by: text().notNull(),
    expires_at: instant(),
    rotated_from: text(),
    rotated_to: text(),
    revoked_at: instant(),
    updated_at: instant().notNull().defaultNow(),
  },
  (table) => [index().on(table.partition, table.id)],
);

/**
 * The access log of the gateway, a row for each request that it has answered; filled by `npm run usage-log`. The path is
 * without its query and without what looks like a secret. `at` is in the key because a table partitioned by time needs it
 * there, and because not every gateway keeps clients from choosing the request's id.
 */
export const gatewayRequests = pgTable(
  'gateway_requests',
  {
    /** The gateway's own id of the request, or a digest of the log's line. */
    id: text().notNull(),
    at: instant().notNull(),
    tenant_id: text(),
    team_id: text(),
    user_id: text(),
    credential_id: text(),
    decision_id: text(),
    method: text(),
    path: text(),
    status: integer().notNull(),
    duration_ms: amount(),
    /** Null where the gateway does not log it. Some count headers, some bodies alone. */
    bytes_in: amount(),
    bytes_out: amount(),
    gateway: text().notNull(),
    recorded_at: instant().notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ name: 'gateway_requests_pk', columns: [table.id, table.at] }),
    // Rows come nearly in the order of time, so that this finds a month's in a thousandth of a B-tree's size.
    index().using('brin', table.at),
    index().on(table.tenant_id, table.at),
    index().on(table.decision_id).where(sql`${table.decision_id} is not null`),
  ],
);
