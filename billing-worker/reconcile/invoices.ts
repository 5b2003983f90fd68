import type { Sql } from 'postgres';
import { minorDigits } from '../../schemas/config/currency.ts';
import { ms } from '../invoices/billable-sql.ts';
import { lastClose } from '../invoices/close-cycle.ts';
import { lineEvents } from '../invoices/read.ts';
import { instant, type Terms } from '../invoices/scope.ts';
import { planSpans } from '../pricing/plan.ts';
import { Share } from '../pricing/share.ts';
import { ARITHMETIC_SQL, ASTRAY_SQL, BUCKET_LINES_SQL, MODEL_LINES_SQL, UNBILLED_SQL } from './invoice-sql.ts';
import type { Bounds } from './rollups.ts';

/**
 * `quantity`: a line is not what its events sum up to; `amount`: a line or a total is not what it is computed from; `unbilled`: events
 * that no invoice has or will have; `astray`: events of an invoice that the ledger has not, or has for another tenant.
 */
export interface InvoiceDrift {
  what: 'quantity' | 'amount' | 'unbilled' | 'astray';
  invoice: string | null;
  line: number | null;
  description: string | null;
  /** Decimals, as the invoice has them and as the ledger does. */
  billed: string | null;
  ledger: string | null;
  decisions: string[];
}

interface Asked {
  tenantId: string;
  cycleStart: string | null;
}

export async function invoiceDrift(asked: Asked, bounds: Bounds, { sql, terms }: { sql: Sql; terms: Terms }) {
  const { cycleStart, tenantId } = asked;
  const run = (text: string, ...more: string[]) =>
    sql.unsafe(text, [tenantId, cycleStart, String(bounds.drifts), ...more], { prepare: true });
  const spans = await spansOf(tenantId, terms, sql);
  const late = instant(await lastClose(tenantId, sql));
  const found = [
    ...(await lines('quantity', await run(MODEL_LINES_SQL), bounds, { tenantId, sql })),
    ...(await lines('quantity', await run(BUCKET_LINES_SQL, JSON.stringify(spans)), bounds, { tenantId, sql })),
    ...(await lines('amount', await run(ARITHMETIC_SQL, JSON.stringify(await digitsOf(tenantId, sql))), bounds)),
    ...events('unbilled', await run(UNBILLED_SQL, late), bounds),
    ...events('astray', await run(ASTRAY_SQL), bounds),
  ];
  return { found: found.reduce((sum, one) => sum + one.count, 0), drifts: found.map(({ drift }) => drift) };
}

/** The spans of plans of every cycle that the tenant was billed for, with what each includes. */
async function spansOf(tenantId: string, { tenants }: Terms, sql: Sql) {
  const cycles = await sql.unsafe(
    `select distinct ${ms('l.cycle_start')} as start, ${ms('l.cycle_end')} as end
     from invoices i join invoice_lines l on l.invoice_id = i.id where i.kind = 'invoice' and i.tenant_id = $1`,
    [tenantId],
    { prepare: true },
  );
  return cycles.flatMap(({ end, start }) =>
    planSpans(tenants, tenantId, { start, end }).map((span) => ({
      cycle_start: instant(start),
      from: instant(span.from),
      to: instant(span.to),
      included: String(new Share(span, { start, end }).tokens(span.plan.included_tokens ?? 0)),
      charged: span.plan.price_per_token !== undefined || span.plan.tiers !== undefined || !span.plan.rate_card,
    })),
  );
}

async function digitsOf(tenantId: string, sql: Sql) {
  const rows = await sql`select distinct currency from invoices where tenant_id = ${tenantId}`;
  return Object.fromEntries(rows.map(({ currency }) => [currency, minorDigits(currency)]));
}

/** A row of what was found, as many as there may be told of `found`. */
// biome-ignore lint/suspicious/noExplicitAny: rows of the statements of invoice-sql
type Row = any;

async function lines(
  what: InvoiceDrift['what'],
  rows: Row[],
  bounds: Bounds,
  events?: { tenantId: string; sql: Sql },
): Promise<{ drift: InvoiceDrift; count: number }[]> {
  const result = [];
  for (const [index, { description, found, invoice, ledger, line, number }] of rows.entries()) {
    const decisions = events && line !== null ? await decisionsOf({ number, line, ...events }, bounds) : [];
    const drift = { what, invoice: number, line, description, billed: invoice, ledger, decisions };
    result.push({ drift, count: index === 0 ? found : 0 });
  }
  return result;
}

/** The first of those that a line was made of. */
async function decisionsOf(
  { line, number, sql, tenantId }: { number: string; line: number; tenantId: string; sql: Sql },
  { decisions }: Bounds,
): Promise<string[]> {
  const [invoice] = await sql`
    select id from invoices where tenant_id = ${tenantId} and document::json ->> 'number' = ${number}`;
  const found = await lineEvents({ invoiceId: invoice?.id ?? '', line, limit: decisions }, sql);
  return [...new Set(found?.data.map(({ decision_id }) => decision_id))];
}

function events(what: InvoiceDrift['what'], rows: Row[], bounds: Bounds): { drift: InvoiceDrift; count: number }[] {
  if (rows.length === 0) return [];
  const decisions = [...new Set(rows.map(({ decision_id }: Row) => decision_id as string))].slice(0, bounds.decisions);
  const invoice = what === 'astray' ? (rows[0].number as string) : null;
  const drift = { what, invoice, line: null, description: null, billed: null, ledger: null, decisions };
  return [{ drift, count: rows[0].found }];
}
