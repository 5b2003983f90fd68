import type { Sql } from 'postgres';
import type { Cycle } from '../../cycles.ts';
import type { Terms } from '../../invoices/scope.ts';
import { SPEND, spendJoins, spendParameters } from './spend-sql.ts';

/** What was used of one thing (a model, a user, a day, …) in a period. */
export interface Used {
  key: string;
  /** `2026-10-02`; empty where it is of all days. */
  day: string;
  requests: number;
  denied: number;
  /** LLM tokens: input, output and cache. */
  llmTokens: number;
  /** In the tenant's currency, exact, as a decimal string. */
  spend: string;
}

const GROUPS = {
  model: 'r.model',
  user: 'r.user_id',
  team: 'r.team_id',
  tenant: 'r.tenant_id',
  total: `''`,
} as const;
export type Group = keyof typeof GROUPS;

export interface UsageAsked {
  /** Undefined: all. */
  tenantId?: string | undefined;
  userId?: string | undefined;
  /** Days that count, in the tenant's time zone: `to` is the first that no longer does. */
  from: string;
  to: string;
  by: Group;
  /** A row for each day, too. */
  daily: boolean;
}

const WHERE = `($1::text is null or r.tenant_id = $1) and ($2::text is null or r.user_id = $2)
  and r.day >= $3::text::date and r.day < $4::text::date`;

/** From the rollups: sums of days, for a picture of months. */
export async function usageByDay(asked: UsageAsked, terms: Terms, sql: Sql): Promise<Used[]> {
  const { by, daily, from, tenantId, to, userId } = asked;
  const scope = [tenantId ?? null, userId ?? null, from, to];
  const found = await sql.unsafe(`select distinct tenant_id, model from usage_rollups r where ${WHERE}`, scope, {
    prepare: true,
  });
  const period: Cycle = { start: Date.parse(from) - DAY_MS, end: Date.parse(to) + DAY_MS };
  const names = { tenants: distinct(found, 'tenant_id'), models: distinct(found, 'model') };
  const day = daily ? 'r.day::text' : `''`;
  const rows = await sql.unsafe(
    `select ${GROUPS[by]} as key, ${day} as day, sum(requests)::text as requests, sum(denied)::text as denied,
       sum(input_tokens + output_tokens + cache_read_tokens + cache_write_tokens)::text as llm_tokens, sum(${SPEND})::text as spend
     from usage_rollups r ${spendJoins('$5', '$6')} where ${WHERE} group by 1, 2 order by 2, 1`,
    [...scope, ...spendParameters(names, period, terms)],
    { prepare: true },
  );
  return rows.map(({ day, denied, key, llm_tokens, requests, spend }) => ({
    key,
    day,
    requests: Number(requests),
    denied: Number(denied),
    llmTokens: Number(llm_tokens),
    spend,
  }));
}

const DAY_MS = 86_400_000;

const distinct = (rows: readonly Record<string, string>[], column: string) => [
  ...new Set(rows.map((row) => row[column] ?? '')),
];
