import type { Sql } from 'postgres';
import { ms } from '../invoices/billable-sql.ts';
import { invoiceNumber } from '../invoices/document.ts';
import { instant } from '../invoices/scope.ts';
import type { PrintedInvoice } from '../pages/invoice-page.ts';

const INVOICE_SQL = `
select i.issuer, i.document, latest.state, latest.reference, ${ms('latest.at')} as since, of.issuer as of_issuer, of.number::text as of_number
from invoices i
join lateral (
  select state, at, reference from invoice_states s where s.invoice_id = i.id order by step desc limit 1
) as latest on true
left join invoices of on of.id = i.credits
where i.id = $1`;

const NOTES_SQL = `
select issuer, number::text as number, document::json ->> 'total' as total, reason, ${ms('finalised_at')} as finalised_at
from invoices where credits = $1 order by id`;

/** An invoice with all that its page shows. Undefined: there is no such invoice. */
export async function readPrinted(id: string, sql: Sql): Promise<PrintedInvoice | undefined> {
  const [row] = await sql.unsafe(INVOICE_SQL, [id], { prepare: true });
  if (!row) return undefined;
  const notes = await sql.unsafe(NOTES_SQL, [id], { prepare: true });
  return {
    issuer: row.issuer,
    document: JSON.parse(row.document),
    state: row.state,
    stateSince: instant(row.since),
    reference: row.reference,
    credits: row.of_issuer === null ? null : invoiceNumber(row.of_issuer, Number(row.of_number)),
    creditNotes: notes.map(({ finalised_at, issuer, number, reason, total }) => ({
      number: invoiceNumber(issuer, Number(number)),
      total,
      reason: reason ?? '',
      finalisedAt: instant(finalised_at),
    })),
  };
}
