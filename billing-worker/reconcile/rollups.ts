import type { Sql } from 'postgres';
import { ms } from '../invoices/billable-sql.ts';

/** The columns that name a rollup, and how the ledger says the same. */
const KEYS = {
  tenant_id: 'tenant_id',
  cycle_start: 'cycle_start',
  cycle_end: 'cycle_end',
  day: 'day',
  user_id: `coalesce(user_id, '')`,
  team_id: `coalesce(team_id, '')`,
  project_id: `coalesce(project_id, '')`,
  model: `coalesce(candidate, model, '')`,
} as const;

/** Every column that is a sum. */
export const SUM_COLUMNS = [
  'requests',
  'denied',
  'tokens',
  'input_tokens',
  'output_tokens',
  'cache_read_tokens',
  'cache_write_tokens',
  'reasoning_tokens',
  'cost_usd',
] as const;

export const KEY_LIST = Object.keys(KEYS).join(', ');
export const SUM_LIST = SUM_COLUMNS.join(', ');

/** A month of events was dropped for its age, and the time from `start` to `end` has a part in it: nothing can be proved of it. */
export const isDropped = (start: string, end: string): string => `exists (
    select from usage_months_dropped d
    where (d.month || '-01T00:00:00Z')::timestamptz < ${end}
      and (d.month || '-01T00:00:00Z')::timestamptz at time zone 'UTC' + interval '1 month' > ${start} at time zone 'UTC'
  )`;

const WHERE = `tenant_id = $1 and ($2::text is null or cycle_start = $2::text::timestamptz)
    and not ${isDropped('cycle_start', 'cycle_end')}`;

/** The same of events: no cycle is longer than a year, so only the months of one are read. */
export const EVENTS_WHERE = `${WHERE} and decided_at >= coalesce($2::text::timestamptz, '-infinity')
    and decided_at < coalesce($2::text::timestamptz + interval '367 days', 'infinity')`;

/**
 * What the ledger sums up to, beside what the rollups say, in one statement, so of one instant. In: $1 the tenant, $2 the beginning
 * of a cycle or null for all. A rollup of nothing but zeros is as good as none.
 */
export const COMPARED = `
ledger as (
  select ${Object.values(KEYS)
    .map((expression, index) => `${expression} as ${Object.keys(KEYS)[index]}`)
    .join(', ')}, ${SUM_COLUMNS.map((column) => `coalesce(sum(${column}), 0) as ${column}`).join(', ')}
  from usage_events where ${EVENTS_WHERE} group by 1, 2, 3, 4, 5, 6, 7, 8
), rolled as (
  select ${KEY_LIST}, ${SUM_LIST} from usage_rollups where ${WHERE}
), compared as (
  select ${KEY_LIST}, ledger.tenant_id is not null as in_ledger, rolled.tenant_id is not null as in_rollups,
    ${SUM_COLUMNS.map((column) => `coalesce(ledger.${column}, 0) as ledger_${column}, rolled.${column} as rollup_${column}`).join(',\n    ')}
  from ledger full join rolled using (${KEY_LIST})
), wrong as (
  select * from compared
  where ${SUM_COLUMNS.map((column) => `ledger_${column} <> coalesce(rollup_${column}, 0)`).join(' or ')}
)`;

/** $3: how many at most. */
const DRIFT_SQL = `
with ${COMPARED}
select ${ms('cycle_start')} as cycle_start, ${ms('cycle_end')} as cycle_end, day::text as day, user_id, team_id, project_id, model,
  ${SUM_COLUMNS.map((c) => `ledger_${c}::text as ledger_${c}, coalesce(rollup_${c}, 0)::text as rollup_${c}`).join(', ')},
  count(*) over ()::int as found
from wrong order by cycle_start, day, user_id, team_id, project_id, model limit $3`;

/** Of the rollup that $1 to $8 name; $9: how many at most. */
const DECISIONS_SQL = `
select decision_id from usage_events
where ${Object.values(KEYS)
  .map(
    (expression, index) =>
      `${expression} = $${index + 1}::text${['', '::timestamptz', '::timestamptz', '::date'][index] ?? ''}`,
  )
  .join(' and ')}
group by decision_id order by max(recorded_at) desc, decision_id limit $9`;

/** One rollup that is not what its ledger rows sum up to. */
export interface RollupDrift {
  cycle: { start: string; end: string };
  day: string;
  user_id: string | null;
  team_id: string | null;
  project_id: string | null;
  model: string | null;
  /** By column: decimals as text. */
  sums: Record<string, { ledger: string; rollups: string }>;
  /** Of its ledger rows, those that were recorded last. */
  decisions: string[];
}

export interface Bounds {
  /** How many of each kind of drift of a tenant are told. */
  drifts: number;
  /** How many decisions of each are told. */
  decisions: number;
}

/** The rollups of a tenant that are not what the ledger sums up to; `found` counts all of them. */
export async function rollupDrift(
  { cycleStart, tenantId }: { tenantId: string; cycleStart: string | null },
  bounds: Bounds,
  sql: Sql,
): Promise<{ found: number; drifts: RollupDrift[] }> {
  const rows = await sql.unsafe(DRIFT_SQL, [tenantId, cycleStart, String(bounds.drifts)], { prepare: true });
  const drifts: RollupDrift[] = [];
  for (const row of rows) {
    const cycle = { start: new Date(row.cycle_start).toISOString(), end: new Date(row.cycle_end).toISOString() };
    const key = [tenantId, cycle.start, cycle.end, row.day, row.user_id, row.team_id, row.project_id, row.model];
    const decisions = await sql.unsafe(DECISIONS_SQL, [...key, String(bounds.decisions)], { prepare: true });
    drifts.push({
      ...named(row),
      cycle,
      sums: sumsOf(row),
      decisions: decisions.map(({ decision_id }) => decision_id),
    });
  }
  return { found: rows[0]?.found ?? 0, drifts };
}

const named = ({ day, model, project_id, team_id, user_id }: Record<string, string>) => ({
  day: String(day),
  user_id: user_id || null,
  team_id: team_id || null,
  project_id: project_id || null,
  model: model || null,
});

const sumsOf = (row: Record<string, string>): RollupDrift['sums'] =>
  Object.fromEntries(
    SUM_COLUMNS.map((column) => [
      column,
      { ledger: String(row[`ledger_${column}`]), rollups: String(row[`rollup_${column}`]) },
    ]).filter(([, sum]) => typeof sum === 'object' && sum.ledger !== sum.rollups),
  );
