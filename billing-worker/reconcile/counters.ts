import type { Sql } from 'postgres';
import { ms } from '../invoices/billable-sql.ts';
import type { Bounds } from './rollups.ts';

/** Later usage may still be on its way, by way of a worker that is slower than another. */
const SETTLED_MS = 60_000;

/**
 * Each usage event says what each of its counters was before and after it. So the events of a counter are a chain: what one
 * left is what the next one found. A window changes by its events alone; a bucket is also refilled, so it may be found lower, and
 * never higher. Where a link is missing, the counter was moved by what the ledger does not have, or has lost what the ledger has.
 *
 * $1 the tenant, $2 and $3 from when to when, $4 how many at most. A counter that several tenants share is no gap if another tenant's
 * event explains it.
 */
const GAPS_SQL = `
with links as (
  select e.decision_id, e.at, e.stream_id, l.id as limit_id, l.kind, l.unit, l.before, l.after, l.amount,
    case when l.kind = 'window' then l.period_start else 0 end as period
  from usage_events e
  cross join lateral jsonb_to_recordset(e.limits)
    as l(id text, kind text, unit text, before numeric, after numeric, amount numeric, period_start numeric)
  where e.tenant_id = $1 and e.decided_at >= $2::timestamptz and e.decided_at < $3::timestamptz
    and e.type not in ('denied', 'expired') and l.kind in ('window', 'token_bucket')
), chained as (
  select *, lag(after) over chain as found, lag(decision_id) over chain as earlier, lag(at) over chain as since from links
  window chain as (
    partition by limit_id, kind, unit, period
    order by at, substring(stream_id from '^\\d+')::numeric, substring(stream_id from '-(\\d+)$')::numeric
  )
), gaps as (
  select * from chained
  where found is not null and ((kind = 'window' and before <> found) or (kind = 'token_bucket' and before > found))
    and not exists (
      select from usage_events o cross join lateral jsonb_to_recordset(o.limits) as l(id text, unit text, after numeric)
      where o.tenant_id <> $1 and o.decided_at >= $2::timestamptz and o.decided_at < $3::timestamptz
        and o.at between chained.since and chained.at
        and l.id = chained.limit_id and l.unit = chained.unit and l.after = chained.before
    )
)
select limit_id, kind, unit, ${ms('at')} as at, ${ms('since')} as since, found::text as found, before::text as before, earlier, decision_id,
  count(*) over ()::int as all_of_them
from gaps order by at, limit_id limit $4`;

/** Between two decisions a counter moved, and the ledger does not say by what. Amounts are in the counter's unit. */
export interface CounterDrift {
  limit: string;
  kind: string;
  unit: string;
  /** What the ledger's last event left, and what the next one found. */
  ledger: string;
  counter: string;
  between: { from: string; to: string };
  decisions: string[];
}

export async function counterDrift(
  { from, now, tenantId, to }: { tenantId: string; from: number; to: number; now: number },
  bounds: Bounds,
  sql: Sql,
): Promise<{ found: number; drifts: CounterDrift[] }> {
  const until = Math.min(to, now - SETTLED_MS);
  const parameters = [tenantId, new Date(from).toISOString(), new Date(until).toISOString(), String(bounds.drifts)];
  const rows = await sql.unsafe(GAPS_SQL, parameters, { prepare: true });
  const drifts = rows.map((row) => ({
    limit: row.limit_id,
    kind: row.kind,
    unit: row.unit,
    ledger: row.found,
    counter: row.before,
    between: { from: new Date(row.since).toISOString(), to: new Date(row.at).toISOString() },
    decisions: [row.earlier, row.decision_id],
  }));
  return { found: rows[0]?.all_of_them ?? 0, drifts };
}
