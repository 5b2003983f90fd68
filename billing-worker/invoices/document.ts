import type { Cycle } from '../cycles.ts';
import type { Draft, DraftLine } from './draft.ts';
import { instant } from './scope.ts';

/** So many digits at least, so that numbers sort as text. */
const NUMBER_DIGITS = 6;

export const invoiceNumber = (issuer: string, number: number): string =>
  `${issuer}-${String(number).padStart(NUMBER_DIGITS, '0')}`;

export interface Heading {
  id: string;
  kind: 'invoice' | 'credit_note';
  issuer: string;
  number: number;
  tenantId: string;
  cycle: Cycle;
  finalisedAt: number;
  /** Of a credit note. */
  credits?: string;
  reason?: string;
}

/** What is given out: money as decimal strings, instants in UTC, half-open. */
export interface InvoiceDocument {
  id: string;
  number: string;
  kind: Heading['kind'];
  tenant_id: string;
  cycle: { start: string; end: string };
  currency: string;
  credits?: string;
  reason?: string;
  lines: ReturnType<typeof lineOf>[];
  total: string;
  finalised_at: string;
}

/** Made once, when it is finalised, and kept as text: whoever asks later gets the same bytes. */
export function documentOf(heading: Heading, { currency, lines, total }: Pick<Draft, 'currency' | 'lines' | 'total'>) {
  const { credits, cycle, finalisedAt, id, issuer, kind, number, reason, tenantId } = heading;
  const document: InvoiceDocument = {
    id,
    number: invoiceNumber(issuer, number),
    kind,
    tenant_id: tenantId,
    cycle: { start: instant(cycle.start), end: instant(cycle.end) },
    currency,
    ...(credits !== undefined && { credits }),
    ...(reason !== undefined && { reason }),
    lines: lines.map(lineOf),
    total,
    finalised_at: instant(finalisedAt),
  };
  return document;
}

export function lineOf(line: DraftLine, index: number) {
  const { adjustment, amount, cycle, description, exact_amount, kind, model, per, plan, quantity, token_type } = line;
  return {
    line: index + 1,
    kind,
    description,
    ...(adjustment && { adjustment, cycle: { start: instant(cycle.start), end: instant(cycle.end) } }),
    ...(plan !== undefined && { plan }),
    ...(model !== undefined && { model }),
    ...(token_type !== undefined && { token_type }),
    quantity,
    unit: line.unit,
    unit_price: line.unit_price,
    per,
    exact_amount,
    amount,
  };
}

/** As the table has it. */
export const invoiceRow = (
  { credits, cycle, finalisedAt, id, issuer, kind, number, reason, tenantId }: Heading,
  { currency, total }: Pick<Draft, 'currency' | 'total'>,
  document: InvoiceDocument,
) => ({
  id,
  kind,
  issuer,
  number,
  tenant_id: tenantId,
  cycle_start: instant(cycle.start),
  cycle_end: instant(cycle.end),
  currency,
  total,
  credits: credits ?? null,
  reason: reason ?? null,
  document: JSON.stringify(document),
  finalised_at: instant(finalisedAt),
});

/** As the table has it. */
export const lineRow = (invoiceId: string, line: DraftLine, index: number) => ({
  invoice_id: invoiceId,
  line: index + 1,
  kind: line.kind,
  description: line.description,
  adjustment: line.adjustment,
  cycle_start: instant(line.cycle.start),
  cycle_end: instant(line.cycle.end),
  plan: line.plan ?? null,
  span_start: instant(line.span_start),
  span_end: instant(line.span_end),
  model: line.model ?? null,
  model_names: line.model_names,
  token_type: line.token_type ?? null,
  price_from:
    line.price_from === undefined || line.price_from === Number.MIN_SAFE_INTEGER ? null : instant(line.price_from),
  price_to: line.price_to === null ? null : instant(line.price_to),
  quantity: line.quantity,
  unit: line.unit,
  unit_price: line.unit_price,
  per: line.per,
  exact_amount: line.exact_amount,
  amount: line.amount,
});
