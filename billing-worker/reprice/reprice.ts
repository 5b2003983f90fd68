import type { Sql } from 'postgres';
import { v7 as uuidv7 } from 'uuid';
import type { Clock } from '../../runtime/clock.ts';
import { minorDigits } from '../../schemas/config/currency.ts';
import { isConflict } from '../database/errors.ts';
import type { Actor } from '../invoices/audit-sql.ts';
import { nextNumber } from '../invoices/close-cycle.ts';
import { leftOf, writeCreditNote } from '../invoices/credit-note.ts';
import type { InvoiceDocument } from '../invoices/document.ts';
import { draftAgain, type Held } from '../invoices/draft.ts';
import { flatLine } from '../invoices/flat-line.ts';
import { readInvoice } from '../invoices/read.ts';
import type { Terms } from '../invoices/scope.ts';
import { type Exact, exact, fixed } from '../pricing/exact.ts';
import { writeAdjustment } from './adjustment.ts';
import { type ComparedLine, comparedLines } from './compare.ts';

/** Why an invoice cannot be priced again: a value for who asks. */
export class RepriceRefused extends Error {
  override readonly name = 'RepriceRefused';
}

export interface RepriceDeps {
  sql: Sql;
  terms: () => Terms;
  issuer: string;
  clock: Clock;
}

/** Amounts are decimals of the currency; differences are signed. */
export interface Repriced {
  invoice: { id: string; number: string };
  currency: string;
  lines: ComparedLine[];
  billed: string;
  now: string;
  /** Of earlier repricings: what they have billed, or, negative, given back. */
  repriced_before: string;
  /** Credit notes for other reasons. What is too much is given back only beyond them. */
  credited: string;
  /** What is billed, or, negative, given back. */
  difference: string;
  credit_note: InvoiceDocument | null;
  /** A line of the tenant's next invoice. */
  adjustment: { id: string; amount: string } | null;
}

const TRIES = 20;
const REASON = 'the prices of its usage were put right';

/**
 * Prices the events of an invoice by today's rate card and plans. What was billed too much is a credit note, what was billed too little a
 * line of the next invoice; the same again changes nothing. Undefined: there is no such invoice. Throws `RepriceRefused`.
 */
export async function reprice(
  { dryRun, invoiceId, ...actor }: Actor & { invoiceId: string; dryRun: boolean },
  deps: RepriceDeps,
): Promise<Repriced | undefined> {
  for (let tries = 1; ; tries++) {
    const found = await readInvoice(invoiceId, deps.sql);
    if (!found) return undefined;
    if (found.state === 'void') throw new RepriceRefused('the invoice is void: nothing is owed for it');
    const invoice: InvoiceDocument = JSON.parse(found.document);
    if (invoice.kind !== 'invoice') throw new RepriceRefused('a credit note has no usage');
    // Before what it is compared with: a note that comes in between takes the number, another adjustment the step.
    const number = await nextNumber(deps.issuer, deps.sql);
    const steps = await stepsOf(invoice, deps.sql);
    const compared = await compare(invoice, deps);
    if (dryRun || exact(compared.difference) === 0n) return compared;
    try {
      return { ...compared, ...(await write({ invoice, number, steps, compared, ...actor }, deps)) };
    } catch (error) {
      if (!isConflict(error) || tries === TRIES) throw error;
    }
  }
}

async function compare(invoice: InvoiceDocument, { sql, terms }: RepriceDeps): Promise<Repriced> {
  const cycle = { start: Date.parse(invoice.cycle.start), end: Date.parse(invoice.cycle.end) };
  await refuseDropped(invoice.id, sql);
  const draft = await draftAgain({ tenantId: invoice.tenant_id, cycle, invoiceId: invoice.id }, terms(), sql);
  refuseHeld(draft.held);
  if (draft.currency !== invoice.currency) {
    throw new RepriceRefused(`the invoice is in ${invoice.currency}, and the tenant's plan in ${draft.currency}`);
  }
  const digits = minorDigits(invoice.currency);
  const show = (amount: Exact) => fixed(amount, digits);
  const lines = comparedLines(invoice, draft.lines, digits);
  const sum = (field: 'billed' | 'now') => lines.reduce((total, line) => total + exact(line[field]), 0n);
  const { credited, repriced } = await settled(invoice, sql);
  return {
    invoice: { id: invoice.id, number: invoice.number },
    currency: invoice.currency,
    lines,
    billed: show(sum('billed')),
    now: show(sum('now')),
    repriced_before: show(repriced),
    credited: show(credited),
    difference: show(owed(sum('now') - sum('billed') - repriced, credited)),
    credit_note: null,
    adjustment: null,
  };
}

/** What was given back already is not given back again; what was given for another reason is not taken back. */
function owed(difference: Exact, credited: Exact): Exact {
  if (difference >= 0n) return difference;
  return difference + credited < 0n ? difference + credited : 0n;
}

/** What is no longer in the ledger would be given back as if it had never been used. */
async function refuseDropped(invoiceId: string, sql: Sql): Promise<void> {
  const [row] = await sql`
    select exists (
      select from billed_events b where b.invoice_id = ${invoiceId}
        and not exists (select from usage_events e where e.id = b.event_id and e.decided_at = b.decided_at)
    ) as gone`;
  if (row?.gone) throw new RepriceRefused('its events are no longer in the ledger: they were dropped for their age');
}

function refuseHeld(held: Held[]): void {
  if (held.length === 0) return;
  throw new RepriceRefused(`no price any more: ${held.map(({ model }) => model).join(', ')}`);
}

/** $1: the invoice. */
const SETTLED_SQL = `
select
  (select coalesce(sum(amount), 0) from invoice_adjustments where invoice_id = $1)
    + (select coalesce(sum(l.amount), 0) from invoices n join invoice_lines l on l.invoice_id = n.id
       where n.credits = $1 and l.kind = 'reprice') as repriced,
  (select coalesce(-sum(l.amount), 0) from invoices n join invoice_lines l on l.invoice_id = n.id
    where n.credits = $1 and l.kind <> 'reprice') as credited`;

async function settled({ id }: InvoiceDocument, sql: Sql): Promise<{ repriced: Exact; credited: Exact }> {
  const [row] = await sql.unsafe(`select repriced::text, credited::text from (${SETTLED_SQL}) as settled`, [id], {
    prepare: true,
  });
  return { repriced: exact(row?.repriced), credited: exact(row?.credited) };
}

async function stepsOf({ id }: InvoiceDocument, sql: Sql): Promise<number> {
  const [row] = await sql`select count(*)::int as steps from invoice_adjustments where invoice_id = ${id}`;
  return row?.steps;
}

interface Compared {
  invoice: InvoiceDocument;
  /** The next one, and how many adjustments there were, when it was compared. */
  number: number;
  steps: number;
  compared: Repriced;
}

/** What is more than is left of the invoice cannot be a credit note on it: then it is a line that lowers the next one. */
async function write(
  { compared, invoice, number, steps, ...actor }: Actor & Compared,
  deps: RepriceDeps,
): Promise<Pick<Repriced, 'credit_note' | 'adjustment'>> {
  const difference = exact(compared.difference);
  if (difference > 0n || -difference > (await leftOf(invoice, deps.sql))) {
    const id = uuidv7({ msecs: deps.clock.now() });
    const { currency, difference: amount, lines } = compared;
    await writeAdjustment({ id, invoice, amount, currency, lines, steps, ...actor }, deps);
    return { credit_note: null, adjustment: { id, amount } };
  }
  const lines = creditLines(invoice, compared);
  const note = { invoice, number, reason: REASON, lines, action: 'invoice.repriced' as const, ...actor };
  return { credit_note: await writeCreditNote(note, deps), adjustment: null };
}

/** One for each line that comes to something else, and one for what was settled before. */
function creditLines(invoice: InvoiceDocument, { credited, difference, lines, repriced_before: before }: Repriced) {
  const cycle = { start: Date.parse(invoice.cycle.start), end: Date.parse(invoice.cycle.end) };
  const line = (description: string, amount: string) =>
    flatLine({ kind: 'reprice', description, amount, cycle, adjustment: false, unit: 'lines' });
  const changed = lines.filter((one) => exact(one.difference) !== 0n);
  const own = changed.map((one) => line(`${one.description}: ${one.now} instead of ${one.billed}`, one.difference));
  const rest = exact(difference) - changed.reduce((sum, one) => sum + exact(one.difference), 0n);
  if (rest === 0n) return own;
  const settledBefore = `Settled before: ${before} by repricing, ${credited} by credit notes`;
  return [...own, line(settledBefore, fixed(rest, credited.split('.')[1]?.length ?? 0))];
}
