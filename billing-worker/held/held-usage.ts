import type { Sql } from 'postgres';
import { type PriceSpan, rateCardOf } from '../../schemas/config/rate-card.ts';
import { ms } from '../invoices/billable-sql.ts';
import { boundary, instant, type Terms } from '../invoices/scope.ts';
import { planSpans } from '../pricing/plan.ts';

/** Usage that waits for a price, of a tenant and model. */
export interface HeldUsage {
  tenant_id: string;
  /** As the events name it. */
  model: string;
  /** `invoice`: there is a price by now, and it is billed on the tenant's next invoice. */
  waits_for: 'price' | 'invoice';
  events: number;
  /** Input, output and cache, as a decimal. */
  tokens: string;
  first: string;
  last: string;
}

/** Of cycles that have their invoice. $1: whose, or null; `gaps`: when models have no price `[{model, from, to}]`. */
const closed = (gaps: string): string => `
select h.tenant_id, h.model, h.decided_at, case when g.model is null then 'invoice' else 'price' end as waits_for,
  ${tokensOf('e')} as tokens
from held_events h join usage_events e on e.id = h.event_id and e.decided_at = h.decided_at
left join json_to_recordset(${gaps}::text::json) as g(model text, "from" timestamptz, "to" timestamptz)
  on g.model = h.model and h.decided_at >= g."from" and h.decided_at < g."to"
where $1::text is null or h.tenant_id = $1`;

function tokensOf(row: string): string {
  const types = ['input', 'output', 'cache_read', 'cache_write'];
  return types.map((type) => `coalesce(${row}.${type}_tokens, 0)`).join(' + ');
}

/** What was used by model in cycles that have no invoice yet. $1: whose, or null, $2: of cycles that end after then. */
const OPEN_SQL = `
select tenant_id, model, ${ms('cycle_start')} as cycle_start, ${ms('cycle_end')} as cycle_end, sum(requests)::text as requests
from usage_rollups r
where ($1::text is null or tenant_id = $1) and tenant_id <> '' and cycle_end > $2::timestamptz
  and (input_tokens <> 0 or output_tokens <> 0 or cache_read_tokens <> 0 or cache_write_tokens <> 0 or reasoning_tokens <> 0)
  and not exists (
    select from invoices i where i.kind = 'invoice' and i.tenant_id = r.tenant_id and i.cycle_start = r.cycle_start)
group by tenant_id, model, cycle_start, cycle_end`;

/** $2: when which usage has no price: `[{tenant_id, model, cycle_start, from, to}]`, $3: as `closed` has it. */
const HELD_SQL = `
with held as (
  ${closed('$3')}
  union all
  select u.tenant_id, u.model, e.decided_at, 'price', ${tokensOf('e')}
  from json_to_recordset($2::text::json)
    as u(tenant_id text, model text, cycle_start timestamptz, "from" timestamptz, "to" timestamptz)
  join usage_events e on e.tenant_id = u.tenant_id and e.cycle_start = u.cycle_start
    and e.decided_at >= u."from" and e.decided_at < u."to" and coalesce(e.candidate, e.model, '') = u.model
  where e.type <> 'denied' and (${tokensOf('e')} <> 0 or coalesce(e.reasoning_tokens, 0) <> 0)
    and not exists (select from billed_events b where b.event_id = e.id and b.decided_at = e.decided_at)
)
select tenant_id, model, waits_for, count(*)::int as events, sum(tokens)::text as tokens,
  ${ms('min(decided_at)')} as first, ${ms('max(decided_at)')} as last
from held group by tenant_id, model, waits_for order by tenant_id, model, waits_for desc`;

const BY_MODEL_SQL = `
select model, count(*)::int as events from (${closed('$2')}) as held where waits_for = 'price' group by model`;

/** A time of a cycle in which usage of a model is billed by the rate card, and has no price. */
export interface Unpriced {
  tenant_id: string;
  model: string;
  cycle_start: string;
  from: string;
  to: string;
  /** Of the whole cycle, as far as they were granted. */
  requests: string;
}

/** What waits for a price, by tenant and model; of closed cycles and of those that are not closed yet. */
export async function heldUsage(tenantId: string | undefined, terms: Terms, sql: Sql): Promise<HeldUsage[]> {
  const unpriced = await unpricedUsage({ tenantId, endedAfter: 0 }, terms, sql);
  const gaps = await gapsOf(terms, sql);
  const parameters = [tenantId ?? null, JSON.stringify(unpriced), JSON.stringify(gaps)];
  const rows = await sql.unsafe(HELD_SQL, parameters, { prepare: true });
  return rows.map(({ events, first, last, model, tenant_id, tokens, waits_for }) => ({
    tenant_id,
    model,
    waits_for,
    events,
    tokens,
    first: instant(first),
    last: instant(last),
  }));
}

/** When the models of held events have no price. */
async function gapsOf({ models }: Terms, sql: Sql) {
  const card = rateCardOf(models);
  const held = await sql`select distinct model from held_events`;
  return held.flatMap(({ model }) =>
    card
      .spans(model)
      .filter(({ price }) => price === undefined)
      .map(({ from, to }) => ({ model: model as string, from: boundary(from), to: boundary(to) })),
  );
}

/** How many events of closed cycles wait for a price, by model. */
export async function heldByModel(terms: Terms, sql: Sql): Promise<{ model: string; events: number }[]> {
  const parameters = [null, JSON.stringify(await gapsOf(terms, sql))];
  const rows = await sql.unsafe(BY_MODEL_SQL, parameters, { prepare: true });
  return rows as unknown as { model: string; events: number }[];
}

/** By the rollups alone, so that it costs little to ask often. */
export async function unpricedUsage(
  { endedAfter, tenantId }: { tenantId: string | undefined; endedAfter: number },
  { models, tenants }: Terms,
  sql: Sql,
): Promise<Unpriced[]> {
  const card = rateCardOf(models);
  const used = await sql.unsafe(OPEN_SQL, [tenantId ?? null, instant(endedAfter)], { prepare: true });
  return used.flatMap(({ cycle_end, cycle_start, model, requests, tenant_id }) => {
    const missing = card.spans(model).filter(({ price }) => price === undefined);
    if (missing.length === 0) return [];
    return planSpans(tenants, tenant_id, { start: cycle_start, end: cycle_end })
      .filter(({ plan }) => plan.rate_card)
      .flatMap((span) => missing.flatMap((gap) => overlap(span, gap)))
      .map(({ from, to }) => ({ tenant_id, model, cycle_start: instant(cycle_start), from, to, requests }));
  });
}

function overlap(a: { from: number; to: number }, b: PriceSpan): { from: string; to: string }[] {
  const from = Math.max(a.from, b.from);
  const to = Math.min(a.to, b.to);
  return from < to ? [{ from: instant(from), to: instant(to) }] : [];
}
