import type { Sql } from 'postgres';
import type { Clock } from '../../runtime/clock.ts';
import type { TenantsConfig } from '../../schemas/config/tenants.ts';
import { billingCycleOf, type Cycle } from '../cycles.ts';
import type { Calendar } from '../ledger/calendar.ts';
import { formatUsd } from '../pricing/pricing.ts';
import type { GroupBy, UsageQuery } from './usage-query.ts';

export interface UsageReport {
  data: Record<string, string | number | null>[];
  /** The cycle that the sums are of; null for a period of the caller's own, or where the tenants' cycles differ. */
  cycle: { start: string; end: string } | null;
}

export interface UsageReportDeps {
  sql: Sql;
  tenants: () => TenantsConfig;
  calendar: Calendar;
  clock: Clock;
}

/** The field of the answer, and where its values are. */
const GROUPS: Record<GroupBy, { field?: string; inRollups: string; inLedger: string }> = {
  tenant: { inRollups: `''`, inLedger: `''` },
  team: { field: 'team_id', inRollups: 'team_id', inLedger: `coalesce(team_id, '')` },
  project: { field: 'project_id', inRollups: 'project_id', inLedger: `coalesce(project_id, '')` },
  user: { field: 'user_id', inRollups: 'user_id', inLedger: `coalesce(user_id, '')` },
  model: { field: 'model', inRollups: 'model', inLedger: `coalesce(candidate, model, '')` },
  day: { field: 'day', inRollups: 'day::text', inLedger: 'day::text' },
};

/**
 * What was used: of a period of the caller's own, from the ledger, exact to the instant; else of the current billing
 * cycle of the tenant, or of each tenant, from the rollups.
 */
export async function usageReport(query: UsageQuery, deps: UsageReportDeps): Promise<UsageReport> {
  if (query.from || query.to) return { data: await ofPeriod(query, deps.sql), cycle: null };
  const tenants = query.tenant_id === undefined ? await tenantsNow(deps) : [query.tenant_id];
  const now = deps.clock.now();
  const configured = deps.tenants();
  const cycles = tenants.map((tenant_id) => ({
    tenant_id,
    ...deps.calendar.at(now, billingCycleOf(configured, tenant_id)).cycle,
  }));
  return { data: await ofCycles(cycles, query.group_by, deps.sql), cycle: shared(cycles) };
}

/** As providers count them. Reasoning is in the output, too. */
const LLM_TOKENS = [
  'input_tokens',
  'output_tokens',
  'cache_read_tokens',
  'cache_write_tokens',
  'reasoning_tokens',
] as const;

const SUMS = `
  sum(requests)::text as requests, sum(denied)::text as denied, sum(tokens)::text as tokens,
  ${LLM_TOKENS.map((column) => `coalesce(sum(${column}), 0)::text as ${column}`).join(', ')},
  sum(cost_usd)::text as cost_usd`;
const ORDER = 'group by 1, 2 order by 1, 2';
/** In the order of their bytes, the same on every server, whatever its locale. */
const keys = (group: string) => `tenant_id collate "C" as tenant_id, (${group}) collate "C" as key`;

function ofPeriod({ from, group_by, tenant_id, to }: UsageQuery, sql: Sql) {
  const text = `
    select ${keys(GROUPS[group_by].inLedger)}, ${SUMS} from usage_events
    where ($1::text is null or tenant_id = $1)
      and decided_at >= coalesce($2::text::timestamptz, '-infinity')
      and decided_at < coalesce($3::text::timestamptz, 'infinity')
    ${ORDER}`;
  return rows(sql, text, [tenant_id ?? null, from ?? null, to ?? null], group_by);
}

function ofCycles(cycles: (Cycle & { tenant_id: string })[], group_by: GroupBy, sql: Sql) {
  const text = `
    select ${keys(GROUPS[group_by].inRollups)}, ${SUMS} from usage_rollups
    join json_to_recordset($1::text::json)
      as current (tenant_id text, cycle_start timestamptz, cycle_end timestamptz)
      using (tenant_id, cycle_start, cycle_end)
    ${ORDER}`;
  const current = cycles.map(({ end, start, tenant_id }) => ({
    tenant_id,
    cycle_start: new Date(start),
    cycle_end: new Date(end),
  }));
  return rows(sql, text, [JSON.stringify(current)], group_by);
}

async function rows(sql: Sql, text: string, parameters: (string | null)[], group_by: GroupBy) {
  const { field } = GROUPS[group_by];
  const found = await sql.unsafe(text, parameters, { prepare: true });
  return found.map((row) => ({
    tenant_id: row.tenant_id as string,
    ...(field && { [field]: row.key === '' ? null : (row.key as string) }),
    requests: whole(row.requests),
    denied: whole(row.denied),
    tokens: whole(row.tokens),
    ...Object.fromEntries(LLM_TOKENS.map((column) => [column, whole(row[column])])),
    cost_usd: formatUsd(row.cost_usd),
  }));
}

/** The columns of the answer, also where it is empty. */
export const usageColumns = (group_by: GroupBy): string[] => {
  const { field } = GROUPS[group_by];
  return ['tenant_id', ...(field ? [field] : []), 'requests', 'denied', 'tokens', ...LLM_TOKENS, 'cost_usd'];
};

/** Every tenant that has used something in a cycle that is open now. */
async function tenantsNow({ clock, sql }: UsageReportDeps): Promise<string[]> {
  const now = new Date(clock.now()).toISOString();
  const found = await sql`
    select distinct tenant_id from usage_rollups where cycle_end > ${now} and cycle_start <= ${now}`;
  return found.map(({ tenant_id }) => tenant_id);
}

function shared(cycles: Cycle[]): UsageReport['cycle'] {
  const [first] = cycles;
  if (!first || cycles.some(({ end, start }) => start !== first.start || end !== first.end)) return null;
  return { start: new Date(first.start).toISOString(), end: new Date(first.end).toISOString() };
}

/** Beyond 2^53 a JSON number would be rounded by most readers: there the digits are given as a string. */
const whole = (digits: string) => (Number.isSafeInteger(Number(digits)) ? Number(digits) : digits);
