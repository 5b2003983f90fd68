import { EVENTS_WHERE, isDropped } from './rollups.ts';

/** Of the invoices that are asked for, and whose events are still there: $1 the tenant, $2 the beginning of their cycle, or null for all. */
const ASKED = `
asked as (
  select id, document::json ->> 'number' as number, currency, total, finalised_at from invoices
  where tenant_id = $1 and ($2::text is null or cycle_start = $2::text::timestamptz)
    and not exists (
      select from invoice_lines l where l.invoice_id = invoices.id and ${isDropped('l.cycle_start', 'l.cycle_end')}
    )
)`;

const counted = (column: string) => `coalesce(sum(e.${column}), 0)`;

/** Reasoning that has a line of its own is not in the line of the output. */
const OUTPUT = `${counted('output_tokens')} - case when exists (
    select from invoice_lines r where r.invoice_id = l.invoice_id and r.token_type = 'reasoning' and r.model = l.model
      and r.cycle_start = l.cycle_start and r.span_start = l.span_start and r.price_from is not distinct from l.price_from
  ) then ${counted('reasoning_tokens')} else 0 end`;

/** What the lines of models say, and what their events sum up to. $3: how many at most. */
export const MODEL_LINES_SQL = `
with ${ASKED}, summed as (
  select a.number, l.line, l.description, l.quantity, s.tokens as tokens
  from asked a join invoice_lines l on l.invoice_id = a.id and l.kind = 'model_tokens'
  cross join lateral (
    select case l.token_type when 'input' then ${counted('input_tokens')} when 'output' then ${OUTPUT}
      when 'cache_read' then ${counted('cache_read_tokens')} when 'cache_write' then ${counted('cache_write_tokens')}
      when 'reasoning' then ${counted('reasoning_tokens')} end as tokens
    from billed_events b join usage_events e on e.id = b.event_id and e.decided_at = b.decided_at
    where b.invoice_id = l.invoice_id and e.tenant_id = $1 and e.cycle_start = l.cycle_start
      and e.decided_at >= greatest(l.span_start, l.price_from) and e.decided_at < least(l.span_end, l.price_to)
      and coalesce(e.candidate, e.model, '') in (select jsonb_array_elements_text(l.model_names))
  ) s
)
select number, line, description, quantity::text as invoice, tokens::text as ledger, count(*) over ()::int as found
from summed where quantity <> tokens order by number, line limit $3`;

/**
 * The bucket tokens that each span of a plan was billed, and what its events come to above those that the plan includes. $3: how
 * many at most; $4 the spans `[{cycle_start, from, to, included, charged}]`.
 */
export const BUCKET_LINES_SQL = `
with ${ASKED}, spans as (
  select * from json_to_recordset($4::text::json)
    as s(cycle_start timestamptz, "from" timestamptz, "to" timestamptz, included numeric, charged boolean)
), used as (
  select b.invoice_id, s.cycle_start, s."from", s.included, s.charged, i.finalised_at, sum(e.tokens) as tokens
  from spans s
  join usage_events e on e.tenant_id = $1 and e.cycle_start = s.cycle_start and e.decided_at >= s."from" and e.decided_at < s."to"
  join billed_events b on b.event_id = e.id and b.decided_at = e.decided_at
  join invoices i on i.id = b.invoice_id
  group by 1, 2, 3, 4, 5, 6
), running as (
  select *, coalesce(sum(tokens) over (partition by cycle_start, "from" order by finalised_at, invoice_id
    rows between unbounded preceding and 1 preceding), 0) as before
  from used
), expected as (
  select invoice_id, cycle_start, "from", case when not charged then 0 when included = 0 then tokens
    else greatest(before + tokens - included, 0) - greatest(before - included, 0) end as tokens
  from running
), billed as (
  select l.invoice_id, l.cycle_start, l.span_start as "from", sum(l.quantity) as quantity, min(l.line) as line,
    min(l.description) as description
  from asked a join invoice_lines l on l.invoice_id = a.id and l.token_type = 'bucket'
  group by 1, 2, 3
), compared as (
  select invoice_id, line, description, coalesce(quantity, 0) as quantity, coalesce(tokens, 0) as tokens
  from expected full join billed using (invoice_id, cycle_start, "from")
)
select a.number, c.line, coalesce(c.description, 'Tokens') as description, c.quantity::text as invoice, c.tokens::text as ledger,
  count(*) over ()::int as found
from compared c join asked a on a.id = c.invoice_id
where c.quantity <> c.tokens order by 1, 2 limit $3`;

/** Lines that are not what their own quantity and price come to, and totals that are not the sum of their lines. $4: digits by currency. */
export const ARITHMETIC_SQL = `
with ${ASKED}, wrong as (
  select a.number, l.line, l.description, l.amount as invoice,
    round(l.exact_amount, ($4::text::json ->> a.currency)::int) as ledger
  from asked a join invoice_lines l on l.invoice_id = a.id
  where l.quantity * l.unit_price <> l.exact_amount * l.per
    or l.amount <> round(l.exact_amount, ($4::text::json ->> a.currency)::int)
  union all
  select a.number, null, 'total', a.total, coalesce(sum(l.amount), 0)
  from asked a left join invoice_lines l on l.invoice_id = a.id group by a.id, a.number, a.total
  having a.total <> coalesce(sum(l.amount), 0)
)
select number, line, description, invoice::text as invoice, ledger::text as ledger, count(*) over ()::int as found
from wrong order by number, line nulls last limit $3`;

const LLM = ['input', 'output', 'cache_read', 'cache_write', 'reasoning']
  .map((type) => `coalesce(e.${type}_tokens, 0) <> 0`)
  .join(' or ');

/**
 * Events of cycles that have their invoice that are on none, are not held, and come too late for the next. $3: how many at
 * most, $4: what was recorded from then on is billed on the next.
 */
export const UNBILLED_SQL = `
select e.id, e.decision_id, count(*) over ()::int as found
from usage_events e
where ${EVENTS_WHERE} and e.type <> 'denied'
  and (e.tokens <> 0 or e.requests <> 0 or ${LLM}) and e.recorded_at < $4::text::timestamptz
  and exists (select from invoices i where i.kind = 'invoice' and i.tenant_id = $1 and i.cycle_start = e.cycle_start)
  and not exists (select from billed_events b where b.event_id = e.id and b.decided_at = e.decided_at)
  and not exists (select from held_events h where h.event_id = e.id and h.decided_at = e.decided_at)
order by e.decided_at, e.id limit $3`;

/**
 * What is on an invoice, and not in the ledger, or another tenant's. What was decided before the tenant's first event that is there
 * has been removed by its age.
 */
export const ASTRAY_SQL = `
with ${ASKED}
select b.event_id as id, a.number, coalesce(e.decision_id, b.event_id) as decision_id, count(*) over ()::int as found
from asked a join billed_events b on b.invoice_id = a.id
left join usage_events e on e.id = b.event_id and e.decided_at = b.decided_at
where (e.id is null and b.decided_at >= (select min(decided_at) from usage_events where tenant_id = $1)) or e.tenant_id <> $1
order by b.decided_at, b.event_id limit $3`;
