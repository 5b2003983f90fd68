import type { Sql } from 'postgres';

/** A request of a user, as the ledger has it. */
export interface Decision {
  id: string;
  /** Epoch milliseconds. */
  at: number;
  model: string | null;
  granted: boolean;
  reason: string;
  /** How many requests the row stands for: denials beyond ten a second are counted together. */
  count: number;
  /** LLM tokens, as reported; null: nobody has. */
  llmTokens: number | null;
  /** Ids of the limits that its event names. */
  limits: string[];
}

/** The newest first. One index finds a tenant's latest; of a user who asks rarely, no more than this month's are looked through. */
const SQL = `
select e.decision_id, (extract(epoch from e.at) * 1000)::float8 as at, coalesce(e.candidate, e.model) as model, e.granted, e.reason,
  greatest(e.denied, 1)::text as count, e.limits::text as limits,
  (select sum(coalesce(s.input_tokens, 0) + coalesce(s.output_tokens, 0) + coalesce(s.cache_read_tokens, 0) + coalesce(s.cache_write_tokens, 0))::text
   from usage_events s where s.id in (e.decision_id || ':settled', e.decision_id || ':consumed') and s.decided_at = e.decided_at
     and s.input_tokens is not null) as llm_tokens
from usage_events e
where e.tenant_id = $1 and e.user_id = $2 and e.decided_at > $3::timestamptz and e.type in ('consumed', 'reserved', 'denied')
order by e.decided_at desc, e.id desc limit $4`;

const MONTH_MS = 31 * 86_400_000;

export async function recentDecisions(
  { limit, now, tenantId, userId }: { tenantId: string; userId: string; now: number; limit: number },
  sql: Sql,
): Promise<Decision[]> {
  const since = new Date(now - MONTH_MS).toISOString();
  const rows = await sql.unsafe(SQL, [tenantId, userId, since, String(limit)], { prepare: true });
  return rows.map(({ at, count, decision_id, granted, limits, llm_tokens, model, reason }) => ({
    id: decision_id,
    at,
    model,
    granted,
    reason,
    count: Number(count),
    llmTokens: llm_tokens === null ? null : Number(llm_tokens),
    limits: (JSON.parse(limits) as { id: string }[]).map(({ id }) => id),
  }));
}
