import Stripe from 'stripe';
import { type Delivery, NotSent } from '../exports/target.ts';
import type { InvoiceDocument } from '../invoices/document.ts';
import { cut } from './cut.ts';
import { minorUnits, payableUnits } from './minor-units.ts';

/** Stripe's limits. */
const LONGEST_NUMBER = 26;
const LONGEST_DESCRIPTION = 500;
/** Clocks of Stripe and of the database may differ. */
const SKEW_S = 3_600;

export interface Collection {
  collection: 'send_invoice' | 'charge_automatically';
  /** For `send_invoice`. */
  daysUntilDue: number;
}

/**
 * Makes the invoice at Stripe, once, wherever an earlier attempt has ended: looks for what is there, adds what is missing, compares
 * the total, and only then finalises it. Until then it is a draft that Stripe leaves alone. Resolves with its id.
 */
export async function sendInvoice(
  delivery: Delivery,
  customer: string,
  { collection, stripe }: { stripe: Stripe; collection: Collection },
  signal: AbortSignal,
): Promise<string> {
  const { document } = delivery;
  const total = payableUnits(document.total, document.currency);
  const keyed = (step: string) => ({ idempotencyKey: `${document.id}:${delivery.refusals}:${step}` });
  const found = delivery.first ? undefined : await findInvoice(delivery, customer, stripe);
  const invoice = found ?? (await stripe.invoices.create(heading(document, customer, collection), keyed('invoice')));
  await delivery.remember(invoice.id);
  if (invoice.status !== 'draft') return checked(invoice, total);
  const there = delivery.first ? new Set<string>() : await linesThere(invoice.id, stripe);
  for (const line of document.lines) {
    signal.throwIfAborted();
    if (there.has(String(line.line))) continue;
    await stripe.invoiceItems.create(item(line, { customer, document, invoice }), keyed(`line:${line.line}`));
  }
  checked(await stripe.invoices.retrieve(invoice.id), total);
  const finalised = await stripe.invoices.finalizeInvoice(invoice.id, { auto_advance: true }, keyed('finalise'));
  return checked(finalised, total);
}

/** Others' pending items, and the customer's discounts, stay out: the total is ours. */
const heading = (document: InvoiceDocument, customer: string, { collection, daysUntilDue }: Collection) => ({
  customer,
  currency: document.currency.toLowerCase(),
  auto_advance: false,
  collection_method: collection,
  ...(collection === 'send_invoice' && { days_until_due: daysUntilDue }),
  pending_invoice_items_behavior: 'exclude' as const,
  discounts: '' as const,
  description: `${document.number}: usage from ${document.cycle.start} to ${document.cycle.end}`,
  ...(document.number.length <= LONGEST_NUMBER && { number: document.number }),
  metadata: metadataOf(document),
});

export const metadataOf = ({ id, number, tenant_id }: InvoiceDocument) => ({
  openclaw_invoice_id: id,
  openclaw_invoice_number: number,
  openclaw_tenant_id: cut(tenant_id, 500),
});

function item(
  line: InvoiceDocument['lines'][number],
  { customer, document, invoice }: { document: InvoiceDocument; customer: string; invoice: Stripe.Invoice },
): Stripe.InvoiceItemCreateParams {
  const { end, start } = line.cycle ?? document.cycle;
  return {
    customer,
    invoice: invoice.id,
    currency: document.currency.toLowerCase(),
    amount: minorUnits(line.amount, document.currency),
    description: cut(line.description, LONGEST_DESCRIPTION),
    discountable: false,
    period: { start: seconds(start), end: seconds(end) },
    metadata: { ...metadataOf(document), openclaw_invoice_line: String(line.line) },
  };
}

/** What an earlier attempt has made: by the id that was kept, else by our id in the metadata, for a process may die in between. */
async function findInvoice({ createdAt, document, externalId }: Delivery, customer: string, stripe: Stripe) {
  const kept = externalId === undefined ? undefined : await stripe.invoices.retrieve(externalId).catch(ifThere);
  if (kept) return kept;
  const created = { gte: Math.floor(createdAt / 1000) - SKEW_S };
  for await (const invoice of stripe.invoices.list({ customer, created, limit: 100 })) {
    if (invoice.metadata?.openclaw_invoice_id === document.id) return invoice;
  }
  return undefined;
}

/** Somebody may have deleted the draft. */
function ifThere(error: unknown): undefined {
  if (error instanceof Stripe.errors.StripeInvalidRequestError && error.statusCode === 404) return undefined;
  throw error;
}

async function linesThere(invoice: string, stripe: Stripe): Promise<Set<string>> {
  const lines = new Set<string>();
  for await (const { metadata } of stripe.invoiceItems.list({ invoice, limit: 100 })) {
    if (metadata?.openclaw_invoice_line) lines.add(metadata.openclaw_invoice_line);
  }
  return lines;
}

function checked({ id, total }: Stripe.Invoice, expected: number): string {
  if (total === expected) return id;
  throw new NotSent(
    `the total of ${id} at Stripe is ${total} and ours ${expected}, in the currency's smallest units: look at it there`,
    { answered: true, final: true },
  );
}

const seconds = (instant: string) => Math.floor(Date.parse(instant) / 1000);
