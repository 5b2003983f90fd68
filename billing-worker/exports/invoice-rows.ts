import { stringify } from 'csv-stringify/sync';
import type { InvoiceDocument } from '../invoices/document.ts';
import type { InvoiceState } from '../invoices/states.ts';

/** An invoice or credit note with what has become of it. */
export interface StatedInvoice {
  document: InvoiceDocument;
  state: InvoiceState;
}

/** A row for each line, with what is the same for all lines of an invoice in each. Amounts are decimal strings. */
export const invoiceRows = ({ document, state }: StatedInvoice) =>
  document.lines.map((line) => ({
    number: document.number,
    invoice_id: document.id,
    kind: document.kind,
    tenant_id: document.tenant_id,
    cycle_start: document.cycle.start,
    cycle_end: document.cycle.end,
    finalised_at: document.finalised_at,
    state,
    credits: document.credits ?? null,
    currency: document.currency,
    total: document.total,
    line: line.line,
    line_kind: line.kind,
    description: line.description,
    adjustment: line.adjustment ?? false,
    line_cycle_start: line.cycle?.start ?? document.cycle.start,
    line_cycle_end: line.cycle?.end ?? document.cycle.end,
    plan: line.plan ?? null,
    model: line.model ?? null,
    token_type: line.token_type ?? null,
    quantity: line.quantity,
    unit: line.unit,
    unit_price: line.unit_price,
    per: line.per,
    exact_amount: line.exact_amount,
    amount: line.amount,
  }));

export type InvoiceRow = ReturnType<typeof invoiceRows>[number];

const COLUMNS = [
  'number',
  'invoice_id',
  'kind',
  'tenant_id',
  'cycle_start',
  'cycle_end',
  'finalised_at',
  'state',
  'credits',
  'currency',
  'total',
  'line',
  'line_kind',
  'description',
  'adjustment',
  'line_cycle_start',
  'line_cycle_end',
  'plan',
  'model',
  'token_type',
  'quantity',
  'unit',
  'unit_price',
  'per',
  'exact_amount',
  'amount',
] as const satisfies (keyof InvoiceRow)[];

const NEGATIVE = /^-\d+(\.\d+)?$/;

/**
 * RFC 4180: lines end in CRLF. A cell that a spreadsheet would take for a formula begins with an apostrophe, but not a negative
 * amount, which is a number there and harmless.
 */
export const invoiceCsv = (rows: readonly InvoiceRow[], { header }: { header: boolean }): string =>
  stringify(rows as InvoiceRow[], {
    header,
    columns: [...COLUMNS],
    record_delimiter: 'windows',
    escape_formulas: true,
    cast: {
      boolean: String,
      string: (value) => (NEGATIVE.test(value) ? { value, escape_formulas: false } : value),
    },
  });
