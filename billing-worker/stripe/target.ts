import type { Sql } from 'postgres';
import type { TenantsConfig } from '../../schemas/config/tenants.ts';
import type { Target } from '../exports/target.ts';
import { openStripe, type StripeOptions, targetName } from './client.ts';
import { sendCreditNote } from './credit-note.ts';
import { customerOf } from './customers.ts';
import { notSent } from './errors.ts';
import { type Collection, sendInvoice } from './invoice.ts';

export interface StripeTargetOptions extends StripeOptions, Collection {
  tenants: () => TenantsConfig;
  sql: Sql;
}

/** Invoices and credit notes as those of Stripe. */
export function stripeTarget(options: StripeTargetOptions): Target {
  const { sql, tenants } = options;
  const stripe = openStripe(options);
  const name = targetName(options.secretKey);
  return {
    name,
    async send(delivery, signal) {
      try {
        if (delivery.document.kind === 'credit_note')
          return await sendCreditNote(delivery, { stripe, target: name, sql });
        const deps = { stripe, target: name, tenants, sql };
        const customer = await customerOf(delivery.document.tenant_id, delivery.refusals, deps);
        return await sendInvoice(delivery, customer, { stripe, collection: options }, signal);
      } catch (error) {
        throw notSent(error, delivery);
      }
    },
  };
}
