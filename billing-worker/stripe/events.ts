import type { Sql } from 'postgres';
import type Stripe from 'stripe';
import type { Log } from '../../runtime/log.ts';
import { instant } from '../invoices/scope.ts';
import { changeState } from '../invoices/states.ts';

/** What happened at Stripe, and what that makes of our invoice. A failed payment leaves it as it is: Stripe may try again. */
const STATES = {
  'invoice.paid': 'paid',
  'invoice.payment_failed': undefined,
  'invoice.voided': 'void',
} as const;

type Heard = keyof typeof STATES;
type InvoiceEvent = Stripe.Event & { type: Heard; data: { object: Stripe.Invoice } };

export interface EventDeps {
  sql: Sql;
  log: Log;
}

/** Takes in what Stripe tells of an invoice. One that is not ours, or another event, is none of our business. */
export async function takeStripeEvent(event: Stripe.Event, { log, sql }: EventDeps): Promise<void> {
  if (!isHeard(event)) return;
  const { created, data, id, type } = event;
  const { id: externalId = '', metadata } = data.object;
  const invoiceId = await ourInvoice(externalId, metadata?.openclaw_invoice_id, sql);
  if (invoiceId === undefined) return;
  const state = STATES[type];
  const at = created * 1000;
  if (state) {
    const change = { state, at, by: 'stripe', reason: `${type} at Stripe`, reference: externalId };
    const changed = await changeState(invoiceId, change, sql);
    if (changed?.refused) {
      log.error(
        { invoice: invoiceId, external_id: externalId, type, state: changed.state },
        'Stripe disagrees with us',
      );
    }
  }
  const recorded = await sql`
    insert into stripe_events (id, type, invoice_id, external_id, at)
    values (${id}, ${type}, ${invoiceId}, ${externalId}, ${instant(at)}::timestamptz) on conflict do nothing returning id`;
  if (recorded.length && type === 'invoice.payment_failed') {
    log.warn({ invoice: invoiceId, external_id: externalId }, 'a payment has failed at Stripe');
  }
}

const isHeard = (event: Stripe.Event): event is InvoiceEvent => Object.hasOwn(STATES, event.type);

/** By what we have made there; the event may be here before that is recorded, so else by our id, which we gave it. */
async function ourInvoice(externalId: string, named: string | undefined, sql: Sql): Promise<string | undefined> {
  const [row] = await sql`
    select coalesce(
      (select invoice_id from invoice_deliveries where external_id = ${externalId} and target in ('stripe', 'stripe_test')),
      (select id from invoices where id = ${named ?? ''} and kind = 'invoice')) as id`;
  return row?.id ?? undefined;
}
