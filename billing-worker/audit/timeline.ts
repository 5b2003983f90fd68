import type { Sql } from 'postgres';
import type { ApiKey } from '../../schemas/api-key.ts';
import type { AuditAction } from '../../schemas/audit-event.ts';
import type { UsageEvent } from '../../schemas/usage-event.ts';
import { type Cursor, writeCursor } from './cursor.ts';
import { timelineSql } from './sources.ts';

const END_OF_TIME = Date.UTC(10_000, 0);

/** What is in the audit beside audit events: usage events of these kinds. */
export const LEDGER_ACTIONS = ['request.denied', 'budget.granted', 'budget.revoked'] as const;

/** Which rows are wanted; a filter that is left out lets all pass. */
export interface AuditQuery {
  /** RFC 3339, half-open. */
  from?: string | undefined;
  to?: string | undefined;
  tenant_id?: string | undefined;
  user_id?: string | undefined;
  actor?: string | undefined;
  action?: AuditAction | (typeof LEDGER_ACTIONS)[number] | undefined;
  credential_id?: string | undefined;
  target?: string | undefined;
  /** At most so many. */
  limit: number;
  /** The last row of the page before. */
  after?: Cursor | undefined;
}

/** One thing that was done, or refused. Null: it is not known, or there is no such thing. */
export interface AuditRow {
  id: string;
  /** RFC 3339 in UTC, with milliseconds. */
  at: string;
  action: NonNullable<AuditQuery['action']>;
  /** Who did it; null of a denied request, of which `user_id` and `credential_id` say who asked. */
  actor: string | null;
  source_ip: string | null;
  tenant_id: string | null;
  user_id: string | null;
  credential_id: string | null;
  target: string | null;
  reason: string | null;
  /** How many denied requests it stands for; else 1. */
  count: number;
  /** Of a denied request: the limits that its event names. */
  limits?: UsageEvent['limits'];
  /** Of a change of keys: what they were from then on. */
  api_keys?: ShownKey[];
  /** Of a budget: how many tokens, negative where they were taken back, and until when. */
  grant?: { tokens: number; expires_at: string | null };
}

/** Instants are RFC 3339 in UTC. */
type ShownKey = Omit<ApiKey, 'v' | 'digest' | 'created_at' | 'expires_at' | 'revoked_at'> & {
  created_at: string | null;
  expires_at?: string | null;
  revoked_at?: string | null;
};

export interface AuditPage {
  data: AuditRow[];
  /** The `after` of the next page; null: this is the last. */
  next: string | null;
}

/** One page of what was done and refused, the newest first. */
export async function auditPage(query: AuditQuery, sql: Sql): Promise<AuditPage> {
  // One row more tells whether there is a next page.
  const statement = timelineSql(query, query.limit + 1);
  if (!statement) return { data: [], next: null };
  // Planned anew each time, for the values at hand: which index is best depends on them.
  const found = await sql.unsafe(statement.text, statement.parameters, { prepare: false });
  const rows = found.slice(0, query.limit);
  const last = rows.at(-1);
  const next = found.length > rows.length && last ? writeCursor({ at: Number(last.epoch_ms), id: last.id }) : null;
  return { data: rows.map(auditRow), next };
}

function auditRow({
  api_keys,
  at: _,
  budget_grant,
  count,
  epoch_ms,
  limits,
  ...row
}: Record<string, string>): AuditRow {
  const grant: UsageEvent['grant'] = budget_grant ? JSON.parse(budget_grant) : undefined;
  return {
    ...(row as unknown as AuditRow),
    at: new Date(Number(epoch_ms)).toISOString(),
    count: Number(count),
    ...(limits && { limits: JSON.parse(limits) }),
    ...(api_keys && { api_keys: JSON.parse(api_keys).map(shownKey) }),
    ...(grant && { grant: { tokens: grant.tokens, expires_at: shownInstant(grant.expires_at) } }),
  };
}

const shownKey = ({ created_at, expires_at, revoked_at, v: _, ...same }: Omit<ApiKey, 'digest'>): ShownKey => ({
  ...same,
  created_at: shownInstant(created_at),
  ...(expires_at !== undefined && { expires_at: shownInstant(expires_at) }),
  ...(revoked_at !== undefined && { revoked_at: shownInstant(revoked_at) }),
});

/** Null: after the year 9999, for which there is no such form. */
const shownInstant = (instant: number) => (instant < END_OF_TIME ? new Date(instant).toISOString() : null);
