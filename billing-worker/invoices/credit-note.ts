import type { Sql } from 'postgres';
import { v7 as uuidv7 } from 'uuid';
import type { AuditAction } from '../../schemas/audit-event.ts';
import { minorDigits } from '../../schemas/config/currency.ts';
import { isConflict } from '../database/errors.ts';
import { type Exact, exact, fixed, rounded } from '../pricing/exact.ts';
import { type Actor, auditedSql } from './audit-sql.ts';
import { NUMBER_TAKEN, SHOWN_TOTAL } from './billable-sql.ts';
import { type InvoicingDeps, nextNumber } from './close-cycle.ts';
import { documentOf, type Heading, type InvoiceDocument, invoiceRow, lineRow } from './document.ts';
import type { DraftLine } from './draft.ts';
import { flatLine } from './flat-line.ts';
import { readInvoice } from './read.ts';
import type { InvoiceState } from './states.ts';

/** What a credit note was refused for: a value for who asks. */
export class CreditRefused extends Error {
  override readonly name = 'CreditRefused';
}

const TRIES = 20;

/**
 * One row and its lines and state, with the next number. One statement, so one transaction. In: $1 the row and $2 its lines as JSON,
 * $3 the issuer, $4 the number, $5 who asked for it and $6 from where, $7 what the audit calls it.
 */
const CREDIT_SQL = `
with numbered as (
  insert into invoice_numbers as n (issuer, last) values ($3, 1)
  on conflict (issuer) do update set last = n.last + 1
  returning last
), note as (
  insert into invoices select * from json_populate_record(null::invoices, $1::text::json)
  returning id, tenant_id, credits, reason, currency, document, finalised_at
), lines as (
  insert into invoice_lines select * from json_populate_recordset(null::invoice_lines, $2::text::json) returning line
), state as (
  insert into invoice_states (invoice_id, step, state, at, by)
  select id, 1, 'finalised', finalised_at, $5::text from note returning step
), audited as (${auditedSql({
  action: { sql: '$7::text' },
  id: `id || ':credited'`,
  actor: '$5::text',
  sourceIp: '$6::text',
  tenantId: 'tenant_id',
  target: 'credits',
  reason: `${SHOWN_TOTAL} || ': ' || reason`,
  at: 'finalised_at',
  from: 'note',
})})
select require((select last from numbered) = $4::bigint, '${NUMBER_TAKEN}') as ok,
  (select count(*) from lines) as lines, (select count(*) from state) as states`;

/**
 * Gives back a part of an invoice, or all that is left of it; the invoice stays as it is. Undefined: there is no such invoice.
 * Throws `CreditRefused`.
 */
export async function issueCreditNote(
  { amount, invoiceId, reason, ...actor }: Actor & { invoiceId: string; amount: string | undefined; reason: string },
  deps: CreditDeps,
): Promise<InvoiceDocument | undefined> {
  for (let tries = 1; ; tries++) {
    const found = await readInvoice(invoiceId, deps.sql);
    if (!found) return undefined;
    const invoice: InvoiceDocument = JSON.parse(found.document);
    // Before what is left: a note that comes in between takes the number, and this one begins anew.
    const number = await nextNumber(deps.issuer, deps.sql);
    const credited = await creditable(invoice, found.state, amount, deps.sql);
    const line = creditLine({ invoice, credited, reason });
    try {
      return await writeCreditNote({ invoice, number, reason, lines: [line], ...actor }, deps);
    } catch (error) {
      if (!isConflict(error) || tries === TRIES) throw error;
    }
  }
}

export type CreditDeps = Pick<InvoicingDeps, 'clock' | 'issuer' | 'sql'>;

export interface CreditNote extends Actor {
  invoice: InvoiceDocument;
  /** Throws a conflict if it is not the next one. */
  number: number;
  reason: string;
  lines: DraftLine[];
  action?: AuditAction;
}

export async function writeCreditNote(
  { action = 'invoice.credited', by, invoice, lines, number, reason, sourceIp }: CreditNote,
  { clock, issuer, sql }: CreditDeps,
): Promise<InvoiceDocument> {
  const finalisedAt = clock.now();
  const heading: Heading = {
    id: uuidv7({ msecs: finalisedAt }),
    kind: 'credit_note',
    issuer,
    number,
    tenantId: invoice.tenant_id,
    cycle: cycleOf(invoice),
    finalisedAt,
    credits: invoice.id,
    reason,
  };
  const total = lines.reduce((sum, { amount }) => sum + exact(amount), 0n);
  const draft = { currency: invoice.currency, lines, total: fixed(total, minorDigits(invoice.currency)) };
  const document = documentOf(heading, draft);
  const row = JSON.stringify(invoiceRow(heading, draft, document));
  const rows = JSON.stringify(lines.map((line, index) => lineRow(heading.id, line, index)));
  await sql.unsafe(CREDIT_SQL, [row, rows, issuer, String(number), by, sourceIp ?? null, action], { prepare: true });
  return document;
}

const cycleOf = ({ cycle }: InvoiceDocument) => ({ start: Date.parse(cycle.start), end: Date.parse(cycle.end) });

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
  const left = await leftOf({ id, total }, sql);
  const amount = asked === undefined ? left : exact(asked);
  if (rounded(amount, digits) !== amount) throw new CreditRefused(`amount: ${currency} has ${digits} places`);
  if (amount > 0n && amount <= left) return fixed(amount, digits);
  throw new CreditRefused(
    `amount: must be more than 0, and at most the ${fixed(left, digits)} ${currency} that are left of the invoice`,
  );
}

/** What is left of an invoice after its credit notes. */
export async function leftOf({ id, total }: Pick<InvoiceDocument, 'id' | 'total'>, sql: Sql): Promise<Exact> {
  const [row] = await sql`select coalesce(-sum(total), 0)::text as credited from invoices where credits = ${id}`;
  return exact(total) - exact(row?.credited ?? '0');
}

const creditLine = (about: { invoice: InvoiceDocument; credited: string; reason: string }): DraftLine =>
  flatLine({
    kind: 'credit',
    description: `Credit for ${about.invoice.number}: ${about.reason}`,
    amount: `-${about.credited}`,
    cycle: cycleOf(about.invoice),
    adjustment: false,
  });
