import type { Sql } from 'postgres';
import { v7 as uuidv7 } from 'uuid';
import { minorDigits } from '../../schemas/config/currency.ts';
import type { Cycle } from '../cycles.ts';
import { isConflict } from '../database/errors.ts';
import { exact, fixed, rounded } from '../pricing/exact.ts';
import { type InvoicingDeps, nextNumber } from './close-cycle.ts';
import { documentOf, type InvoiceDocument, invoiceRow, lineRow } from './document.ts';
import type { DraftLine } from './draft.ts';
import { readInvoice } from './read.ts';
import type { InvoiceState } from './states.ts';

/** What a credit note was refused for: a value for who asks. */
export class CreditRefused extends Error {
  override readonly name = 'CreditRefused';
}

const TRIES = 20;

/**
 * One row and its line and state, with the next number, unless the invoice's notes would come to more than it was for. One
 * statement, so one transaction. In: $1 the row and $2 the line as JSON, $3 the issuer, $4 the number, $5 who, $6 the invoice.
 */
const CREDIT_SQL = `
with numbered as (
  insert into invoice_numbers as n (issuer, last) values ($3, 1)
  on conflict (issuer) do update set last = n.last + 1
  returning last
), note as (
  insert into invoices select * from json_populate_record(null::invoices, $1::text::json) returning id, total
), line as (
  insert into invoice_lines select * from json_populate_record(null::invoice_lines, $2::text::json) returning line
), state as (
  insert into invoice_states (invoice_id, step, state, at, by)
  select id, 1, 'finalised', ($1::text::json ->> 'finalised_at')::timestamptz, $5 from note returning step
)
select require((select last from numbered) = $4::bigint, 'the number is taken') as ok,
  (select count(*) from line) as lines, (select count(*) from state) as states`;

/**
 * Gives back a part of an invoice, or all that is left of it; the invoice stays as it is. Undefined: there is no such invoice.
 * Throws `CreditRefused`.
 */
export async function issueCreditNote(
  { amount, by, invoiceId, reason }: { invoiceId: string; amount: string | undefined; reason: string; by: string },
  { clock, issuer, sql }: Pick<InvoicingDeps, 'clock' | 'issuer' | 'sql'>,
): Promise<InvoiceDocument | undefined> {
  for (let tries = 1; ; tries++) {
    const found = await readInvoice(invoiceId, sql);
    if (!found) return undefined;
    const invoice: InvoiceDocument = JSON.parse(found.document);
    // Before what is left: a note that comes in between takes the number, and this one begins anew.
    const number = await nextNumber(issuer, sql);
    const credited = await creditable(invoice, found.state, amount, sql);
    const cycle = { start: Date.parse(invoice.cycle.start), end: Date.parse(invoice.cycle.end) };
    const finalisedAt = clock.now();
    const id = uuidv7({ msecs: finalisedAt });
    const heading = {
      id,
      kind: 'credit_note' as const,
      issuer,
      number,
      tenantId: invoice.tenant_id,
      cycle,
      finalisedAt,
    };
    const line = creditLine({ invoice, credited, reason, cycle });
    const draft = { currency: invoice.currency, lines: [line], total: line.amount };
    const document = documentOf({ ...heading, credits: invoiceId, reason }, draft);
    const row = invoiceRow({ ...heading, credits: invoiceId, reason }, draft, document);
    const parameters = [JSON.stringify(row), JSON.stringify(lineRow(id, line, 0)), issuer, String(number), by];
    try {
      await sql.unsafe(CREDIT_SQL, parameters, { prepare: true });
      return document;
    } catch (error) {
      if (!isConflict(error) || tries === TRIES) throw error;
    }
  }
}

/** How much is given back, as an amount of the currency. */
async function creditable(
  { currency, id, kind, total }: InvoiceDocument,
  state: InvoiceState,
  asked: string | undefined,
  sql: Sql,
): Promise<string> {
  if (kind !== 'invoice') throw new CreditRefused('a credit note is not credited itself');
  if (state === 'void') throw new CreditRefused('the invoice is void: nothing is owed for it');
  const digits = minorDigits(currency);
  const [row] = await sql`select coalesce(-sum(total), 0)::text as credited from invoices where credits = ${id}`;
  const left = exact(total) - exact(row?.credited ?? '0');
  const amount = asked === undefined ? left : exact(asked);
  if (rounded(amount, digits) !== amount) throw new CreditRefused(`amount: ${currency} has ${digits} places`);
  if (amount > 0n && amount <= left) return fixed(amount, digits);
  throw new CreditRefused(
    `amount: must be more than 0, and at most the ${fixed(left, digits)} ${currency} that are left of the invoice`,
  );
}

function creditLine(about: { invoice: InvoiceDocument; credited: string; reason: string; cycle: Cycle }): DraftLine {
  const { credited, cycle, invoice, reason } = about;
  const amount = `-${credited}`;
  return {
    kind: 'credit',
    description: `Credit for ${invoice.number}: ${reason}`,
    adjustment: false,
    cycle,
    plan: undefined,
    span: 0,
    span_start: cycle.start,
    span_end: cycle.end,
    model_names: null,
    price_to: null,
    quantity: '1',
    unit: 'invoices',
    unit_price: amount,
    per: 1,
    exact_amount: amount,
    amount,
  };
}
