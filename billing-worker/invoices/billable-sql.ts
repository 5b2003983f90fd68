import { auditedSql } from './audit-sql.ts';

/** An instant as epoch milliseconds: drivers differ in what they make of a `timestamptz`. */
export const ms = (column: string): string => `(extract(epoch from ${column}) * 1000)::float8`;

const HAS_LLM = `coalesce(input_tokens, 0) <> 0 or coalesce(output_tokens, 0) <> 0 or coalesce(cache_read_tokens, 0) <> 0
      or coalesce(cache_write_tokens, 0) <> 0 or coalesce(reasoning_tokens, 0) <> 0`;

/** Prices `found` events: those that `unbilled` lets through are `billable`, or `held`. */
const billable = (found: string, unbilled: string): string => `
with plan_spans as materialized (
  select cycle_start, i, "from", "to", rate_card from json_to_recordset($5::text::json)
    as given(cycle_start timestamptz, i int, "from" timestamptz, "to" timestamptz, rate_card boolean)
), prices as materialized (
  select name, id, price_from, "from", "to" from json_to_recordset($6::text::json)
    as given(name text, id text, price_from text, "from" timestamptz, "to" timestamptz)
), found as (
  ${found}
), candidates as (
  select id, decided_at, cycle_start, cycle_end, coalesce(candidate, model, '') as model, requests, tokens, price_per_token,
    coalesce(input_tokens, 0) as input, coalesce(output_tokens, 0) as output, coalesce(cache_read_tokens, 0) as cache_read,
    coalesce(cache_write_tokens, 0) as cache_write, coalesce(reasoning_tokens, 0) as reasoning,
    ${HAS_LLM} as has_llm
  from found e
  where type <> 'denied'${unbilled}
), priced as (
  select c.*, s.i as span, s.rate_card and c.has_llm as by_card, p.id as model_id, p.price_from
  from candidates c
  join plan_spans s on s.cycle_start = c.cycle_start and c.decided_at >= s."from" and c.decided_at < s."to"
  left join prices p on p.name = c.model and c.decided_at >= p."from" and c.decided_at < p."to"
  where c.tokens <> 0 or c.requests <> 0 or c.has_llm
), billable as (
  select * from priced where not by_card or model_id is not null
), held as (
  select * from priced where by_card and model_id is null
)`;

const UNBILLED = `
    and not exists (select from billed_events b where b.event_id = e.id and b.decided_at = e.decided_at)`;

/**
 * The start of every statement that asks what is to be billed of a tenant's cycle, so that all of them mean the same events. In:
 * $1 the tenant, $2 and $3 the cycle, $4 from when on late events were recorded, $5 the spans of plans as JSON
 * `[{cycle_start, i, from, to, rate_card}]`, $6 the prices as JSON `[{name, id, price_from, from, to}]`.
 *
 * An event is a candidate if it is of this cycle, or of an earlier one that has its invoice already, and is on no invoice. It is held
 * if it has LLM tokens that its plan bills and their model has no price at its time. Of earlier cycles only those spans and
 * models are known that were asked for before: what comes between is billed the next time. `offset 0` keeps PostgreSQL from looking
 * through all of the tenant's events in place of those spans, which it takes to be a hundred.
 */
const BILLABLE = billable(
  `select * from usage_events e
  where e.tenant_id = $1 and e.decided_at >= $2::timestamptz and e.decided_at < $3::timestamptz
    and e.cycle_start = $2::timestamptz
  union all
  select e.* from plan_spans s cross join lateral (
    select * from usage_events
    where tenant_id = $1 and cycle_start = s.cycle_start and decided_at >= s."from" and decided_at < s."to"
      and decided_at < $3::timestamptz and recorded_at >= $4::timestamptz
    offset 0
  ) e
  where s.cycle_start <> $2::timestamptz
    and exists (select from invoices i where i.kind = 'invoice' and i.tenant_id = $1 and i.cycle_start = s.cycle_start)
  union all
  select e.* from held_events h join usage_events e on e.id = h.event_id and e.decided_at = h.decided_at
  where h.tenant_id = $1 and e.cycle_start <> $2::timestamptz and e.recorded_at < $4::timestamptz`,
  UNBILLED,
);

/**
 * The same of the events that an invoice has billed, by today's terms. $1 to $3, $5 and $6 are the same; $4 is the invoice's id.
 */
const BILLED_ALREADY = billable(
  `select e.* from billed_events b join usage_events e on e.id = b.event_id and e.decided_at = b.decided_at
  where b.invoice_id = $4 and e.tenant_id = $1 and $2::timestamptz < $3::timestamptz`,
  '',
);

/** The same of `BILLED_ALREADY`. */
export const BILLED_SCOPE_SQL = `
select distinct ${ms('e.cycle_start')} as cycle_start, ${ms('e.cycle_end')} as cycle_end, coalesce(e.candidate, e.model, '') as model
from billed_events b join usage_events e on e.id = b.event_id and e.decided_at = b.decided_at
where b.invoice_id = $1`;

/**
 * Which cycles, models and prices a later question must know of. Takes $1 to $4 alone. It alone looks through all that was recorded since
 * $4, which after an import is the whole ledger: the statements above then read what is late in the cycles that it has found.
 */
export const SCOPE_SQL = `
select ${ms('cycle_start')} as cycle_start, ${ms('cycle_end')} as cycle_end, coalesce(candidate, model, '') as model
from usage_events e
where e.tenant_id = $1 and e.decided_at >= $2::timestamptz and e.decided_at < $3::timestamptz
  and e.cycle_start = $2::timestamptz and type <> 'denied'
union
select ${ms('cycle_start')}, ${ms('cycle_end')}, coalesce(candidate, model, '')
from usage_events e
where e.tenant_id = $1 and e.decided_at < $3::timestamptz and e.cycle_start <> $2::timestamptz
  and e.recorded_at >= $4::timestamptz and type <> 'denied' and (tokens <> 0 or requests <> 0 or ${HAS_LLM})
  and exists (select from invoices i where i.kind = 'invoice' and i.tenant_id = $1 and i.cycle_start = e.cycle_start)${UNBILLED}
union
select ${ms('cycle_start')}, ${ms('cycle_end')}, model from held_events h where h.tenant_id = $1 and h.decided_at < $3::timestamptz`;

/** For the audit: `INV-000001: 8.89 USD`. */
export const SHOWN_TOTAL = `document::json ->> 'number' || ': ' || (document::json ->> 'total') || ' ' || currency`;

/** Tells one set of events from another, whatever their order. */
const DIGEST = (id: string) => `coalesce(sum(hashtextextended(${id}, 0)::numeric), 0)`;

/** What is billable, summed where plan and price are the same; and of each event that belongs to it one share of a digest. */
const sums = (events: string): string => `${events}
select ${ms('cycle_start')} as cycle_start, span, price_per_token::text, by_card, model_id, price_from,
  count(*)::int as events, ${DIGEST('id')}::text as digest,
  sum(requests)::text as requests, sum(tokens)::text as tokens, sum(input)::text as input, sum(output)::text as output,
  sum(cache_read)::text as cache_read, sum(cache_write)::text as cache_write, sum(reasoning)::text as reasoning,
  json_agg(distinct model) as names
from billable group by billable.cycle_start, span, price_per_token, by_card, model_id, price_from
order by billable.cycle_start, span, price_per_token, model_id nulls first, price_from nulls first`;

export const SUMS_SQL = sums(BILLABLE);

/** Of `BILLED_ALREADY`. */
export const BILLED_SUMS_SQL = sums(BILLED_ALREADY);

/**
 * Bucket tokens of earlier cycles that are on invoices already, by span: what is included, and tiers, go on from there. $3: on
 * invoices before this one alone, or null.
 */
export const BILLED_BEFORE_SQL = `
select ${ms('s.cycle_start')} as cycle_start, s.i as span, coalesce(sum(e.tokens), 0)::text as tokens
from json_to_recordset($2::text::json) as s(cycle_start timestamptz, i int, "from" timestamptz, "to" timestamptz)
join usage_events e on e.tenant_id = $1 and e.cycle_start = s.cycle_start and e.decided_at >= s."from" and e.decided_at < s."to"
join billed_events b on b.event_id = e.id and b.decided_at = e.decided_at
where $3::text is null or (select (finalised_at, id) from invoices where id = b.invoice_id)
  < (select (finalised_at, id) from invoices where id = $3::text)
group by 1, 2`;

/** What waits for a price, by model. */
const held = (events: string): string => `${events}
select model, count(*)::int as events, sum(input + output + cache_read + cache_write)::text as tokens,
  ${ms('min(decided_at)')} as first, ${ms('max(decided_at)')} as last
from held group by model order by model`;

export const HELD_SQL = held(BILLABLE);

/** Of `BILLED_ALREADY`: what had a price, and has none any more. */
export const BILLED_HELD_SQL = held(BILLED_ALREADY);

/** Why a number could not be given: somebody else has it. */
export const NUMBER_TAKEN = 'the number is taken';

/**
 * Finalises an invoice, all of it or nothing: claims its events, gives it its number, writes its lines. It is one statement, so it
 * is one transaction on every database, and a process that dies leaves nothing half done. It fails with `serialization_failure` if the
 * events are no longer those that the lines were computed from, or the number is another one; and with a unique violation if
 * somebody else has billed one of them. In, beside the first six: $7 the invoice's row and $8 its lines as JSON, $9 how many events, $10
 * their digest, $11 the issuer, $12 the number, $13 who asked for it and $14 from where, $15 the ids of adjustments of earlier invoices
 * that are lines of this one.
 */
export const FINALISE_SQL = `${BILLABLE}, claimed as (
  insert into billed_events (event_id, decided_at, invoice_id)
  select id, decided_at, $7::text::json ->> 'id' from billable
  returning event_id
), numbered as (
  insert into invoice_numbers as n (issuer, last) values ($11, 1)
  on conflict (issuer) do update set last = n.last + 1
  returning last
), invoice as (
  insert into invoices select * from json_populate_record(null::invoices, $7::text::json)
  returning id, tenant_id, currency, document, finalised_at
), lines as (
  insert into invoice_lines select * from json_populate_recordset(null::invoice_lines, $8::text::json)
  returning line
), state as (
  insert into invoice_states (invoice_id, step, state, at, by)
  select id, 1, 'finalised', ($7::text::json ->> 'finalised_at')::timestamptz, $13 from invoice
  returning step
), waiting as (
  insert into held_events (event_id, decided_at, tenant_id, cycle_start, cycle_end, model, held_at)
  select id, decided_at, $1, cycle_start, cycle_end, model, ($7::text::json ->> 'finalised_at')::timestamptz from held
  on conflict do nothing
  returning event_id
), no_longer_waiting as (
  delete from held_events h using billable b where h.event_id = b.id and h.decided_at = b.decided_at
  returning h.event_id
), adjusted as (
  insert into billed_adjustments (adjustment_id, invoice_id)
  select json_array_elements_text($15::text::json), id from invoice
  returning adjustment_id
), audited as (${auditedSql({
  action: 'invoice.finalised',
  id: `id || ':finalised'`,
  actor: '$13',
  sourceIp: '$14::text',
  tenantId: 'tenant_id',
  target: 'id',
  reason: SHOWN_TOTAL,
  at: 'finalised_at',
  from: 'invoice',
})}
)
select
  require((select count(*) from claimed) = $9::int
    and (select ${DIGEST('event_id')} from claimed) = $10::numeric, 'the usage has changed') and
  require((select last from numbered) = $12::bigint, '${NUMBER_TAKEN}') as ok,
  (select count(*)::int from lines) as lines, (select count(*)::int from waiting) as waiting,
  (select count(*)::int from no_longer_waiting) as done, (select count(*)::int from state) as states`;
