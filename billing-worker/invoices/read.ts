import type { Sql } from 'postgres';
import { ms } from './billable-sql.ts';
import { invoiceNumber } from './document.ts';
import { instant } from './scope.ts';
import type { InvoiceState } from './states.ts';

interface InvoiceSummary {
  id: string;
  number: string;
  kind: 'invoice' | 'credit_note';
  tenant_id: string;
  cycle: { start: string; end: string };
  currency: string;
  total: string;
  state: InvoiceState;
  state_since: string;
  credits: string | null;
  finalised_at: string;
}

export interface InvoiceList {
  tenantId?: string | undefined;
  state?: InvoiceState | undefined;
  limit: number;
  /** The id of the last one of the page before. */
  after?: string | undefined;
}

const STATE = `
  join lateral (
    select state, at from invoice_states s where s.invoice_id = i.id order by step desc limit 1
  ) as latest on true`;

/** The newest first. */
export async function listInvoices({ after, limit, state, tenantId }: InvoiceList, sql: Sql) {
  const rows = await sql.unsafe(
    `select i.id, i.issuer, i.number, i.kind, i.tenant_id, ${ms('i.cycle_start')} as cycle_start, ${ms('i.cycle_end')} as cycle_end, i.currency, i.total::text as total,
       i.credits, ${ms('i.finalised_at')} as finalised_at, i.document::json ->> 'total' as shown, latest.state,
       ${ms('latest.at')} as since
     from invoices i ${STATE}
     where ($1::text is null or i.tenant_id = $1) and ($2::text is null or latest.state = $2)
       and ($3::text is null or i.id < $3)
     order by i.id desc limit $4`,
    [tenantId ?? null, state ?? null, after ?? null, String(limit + 1)],
    { prepare: true },
  );
  const page = rows.slice(0, limit).map(summaryOf);
  return { data: page, next: rows.length > limit ? (page.at(-1)?.id ?? null) : null };
}

// biome-ignore lint/suspicious/noExplicitAny: rows of the statement above
function summaryOf(row: any): InvoiceSummary {
  return {
    id: row.id,
    number: invoiceNumber(row.issuer, Number(row.number)),
    kind: row.kind,
    tenant_id: row.tenant_id,
    cycle: { start: instant(row.cycle_start), end: instant(row.cycle_end) },
    currency: row.currency,
    total: row.shown,
    state: row.state,
    state_since: instant(row.since),
    credits: row.credits,
    finalised_at: instant(row.finalised_at),
  };
}

/** The document, byte for byte as it was finalised. */
export async function readInvoice(
  id: string,
  sql: Sql,
): Promise<{ document: string; state: InvoiceState } | undefined> {
  const rows = await sql.unsafe(`select i.document, latest.state from invoices i ${STATE} where i.id = $1`, [id], {
    prepare: true,
  });
  return rows[0] as { document: string; state: InvoiceState } | undefined;
}

/** A ledger row, as far as it says what was billed, and for whom. */
export interface LineEvent {
  id: string;
  type: string;
  decision_id: string;
  tokens: string;
  decided_at: string;
  at: string;
  [column: string]: string | number | null;
}

export interface LineEventsQuery {
  invoiceId: string;
  line: number;
  limit: number;
  /** The last event of the page before. */
  after?: { at: number; id: string } | undefined;
}

/**
 * The events that a line was made of, in the order of their decisions: those of the invoice in the line's part of the cycle, for a
 * line of a model those that name it while the price held. Undefined: there is no such line.
 */
export async function lineEvents({ after, invoiceId, limit, line }: LineEventsQuery, sql: Sql) {
  const [found] = await sql`
    select cycle_start::text, span_start::text, span_end::text, model_names, token_type, price_from::text, price_to::text
    from invoice_lines where invoice_id = ${invoiceId} and line = ${line}`;
  if (!found) return undefined;
  // A fee, a minimum and a markup are of no event of their own.
  if (found.token_type === null) return { data: [], next: null };
  const rows = await sql.unsafe(
    `select e.id, e.type, e.decision_id, e.request_id, e.run_id, e.user_id, e.team_id, e.project_id, e.model, e.candidate,
       e.requests, e.tokens::text as tokens, e.input_tokens, e.output_tokens, e.cache_read_tokens, e.cache_write_tokens,
       e.reasoning_tokens, ${ms('e.decided_at')} as decided_at, ${ms('e.at')} as at
     from billed_events b join usage_events e on e.id = b.event_id and e.decided_at = b.decided_at
     where b.invoice_id = $1 and e.tenant_id = (select tenant_id from invoices where id = $1) and e.cycle_start = $2::timestamptz
       and e.decided_at >= greatest($3::timestamptz, coalesce($6::text::timestamptz, '-infinity'))
       and e.decided_at < least($4::timestamptz, coalesce($7::text::timestamptz, 'infinity'))
       and case when $5::text is null then e.tokens <> 0
         else coalesce(e.candidate, e.model, '') in (select json_array_elements_text($5::text::json))
           and coalesce(${TYPES[found.token_type as string] ?? 'null'}, 0) <> 0 end
       and ($8::text is null or (e.decided_at, e.id) > ($8::text::timestamptz, $9::text))
     order by e.decided_at, e.id limit $10`,
    [
      invoiceId,
      found.cycle_start,
      found.span_start,
      found.span_end,
      found.model_names && JSON.stringify(found.model_names),
      found.price_from,
      found.price_to,
      after ? new Date(after.at).toISOString() : null,
      after?.id ?? null,
      String(limit + 1),
    ],
    { prepare: true },
  );
  const page = rows.slice(0, limit);
  const last = rows.length > limit ? page.at(-1) : undefined;
  return {
    data: page.map((row) => eventOf(row)),
    next: last ? { at: last.decided_at as number, id: last.id as string } : null,
  };
}

// biome-ignore lint/suspicious/noExplicitAny: rows of the statement above
const eventOf = (row: any): LineEvent => ({ ...row, decided_at: instant(row.decided_at), at: instant(row.at) });

/** Which column of an event a line of this type of token counts. Reasoning is in the output as well. */
const TYPES: Record<string, string> = {
  input: 'e.input_tokens',
  output: 'e.output_tokens',
  cache_read: 'e.cache_read_tokens',
  cache_write: 'e.cache_write_tokens',
  reasoning: 'e.reasoning_tokens',
};
