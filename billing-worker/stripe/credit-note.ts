import type { Sql } from 'postgres';
import type Stripe from 'stripe';
import { type Delivery, NotSent } from '../exports/target.ts';
import { cut } from './cut.ts';
import { metadataOf } from './invoice.ts';
import { payableUnits } from './minor-units.ts';

const LONGEST_DESCRIPTION = 500;

/**
 * Makes the credit note on the invoice that it corrects. Of an open invoice less is due then; of a paid one the amount goes to
 * the customer's balance, which the next invoice draws on. Resolves with its id.
 */
export async function sendCreditNote(
  { document, first, refusals }: Delivery,
  { sql, stripe, target }: { stripe: Stripe; target: string; sql: Sql },
): Promise<string> {
  const amount = -payableUnits(document.total, document.currency);
  const invoice = await stripe.invoices.retrieve(await creditedInvoice(document.credits, target, sql));
  const there = first ? undefined : await findNote(document.id, invoice.id, stripe);
  const note =
    there ??
    (await stripe.creditNotes.create(
      {
        invoice: invoice.id,
        lines: document.lines.map(({ description }) => ({
          type: 'custom_line_item' as const,
          description: cut(description, LONGEST_DESCRIPTION),
          quantity: 1,
          unit_amount: amount,
        })),
        ...(invoice.status === 'paid' && { credit_amount: amount }),
        memo: cut(`${document.number}: ${document.reason ?? ''}`, LONGEST_DESCRIPTION),
        metadata: metadataOf(document),
      },
      { idempotencyKey: `${document.id}:${refusals}:credit-note` },
    ));
  if (note.total === amount) return note.id;
  throw new NotSent(`the total of ${note.id} at Stripe is ${note.total} and ours ${amount}: look at it there`, {
    answered: true,
    final: true,
  });
}

async function creditedInvoice(credits: string | undefined, target: string, sql: Sql): Promise<string> {
  const [row] = await sql`
    select state, external_id from invoice_deliveries where invoice_id = ${credits ?? ''} and target = ${target}`;
  if (row?.state === 'delivered' && row.external_id) return row.external_id;
  if (row?.state === 'pending') throw new NotSent('the invoice that it corrects is still to be sent');
  throw new NotSent(`the invoice that it corrects, ${credits}, was not sent to Stripe`, { final: true });
}

async function findNote(id: string, invoice: string, stripe: Stripe): Promise<Stripe.CreditNote | undefined> {
  for await (const note of stripe.creditNotes.list({ invoice, limit: 100 })) {
    if (note.metadata?.openclaw_invoice_id === id) return note;
  }
  return undefined;
}
