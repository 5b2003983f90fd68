import { sql } from 'drizzle-orm';
import { index, integer, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core';

const instant = () => timestamp({ withTimezone: true, mode: 'date' });

export const DELIVERY_STATES = ['pending', 'delivered', 'failed'] as const;

/** Where invoices are sent, and from when on: one that was finalised before is not sent by itself. */
export const deliveryTargets = pgTable('delivery_targets', {
  target: text().primaryKey(),
  since: instant().notNull(),
});

/** What became of sending an invoice or credit note to a target. */
export const invoiceDeliveries = pgTable(
  'invoice_deliveries',
  {
    invoice_id: text().notNull(),
    target: text().notNull(),
    state: text().$type<(typeof DELIVERY_STATES)[number]>().notNull(),
    /** Begun ones, also those that a worker did not live to finish. */
    attempts: integer().notNull(),
    /** How often the receiver has answered with an error: it would give the same answer to the same idempotency key. */
    refusals: integer().notNull(),
    /** When it is tried next; of one that is being sent, when another worker may take it over. */
    next_at: instant().notNull(),
    /** What it is called there. */
    external_id: text(),
    /** Without secrets. */
    last_error: text(),
    created_at: instant().notNull().defaultNow(),
    updated_at: instant().notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ name: 'invoice_deliveries_pk', columns: [table.invoice_id, table.target] }),
    index('invoice_deliveries_open').on(table.next_at).where(sql`${table.state} <> 'delivered'`),
    index().on(table.external_id),
  ],
);

/** Who a tenant is at Stripe, where the configuration does not say: a customer that was made for it. */
export const stripeCustomers = pgTable(
  'stripe_customers',
  {
    tenant_id: text().notNull(),
    /** Test mode has customers of its own. */
    target: text().notNull(),
    customer: text().notNull(),
    created_at: instant().notNull().defaultNow(),
  },
  (table) => [primaryKey({ name: 'stripe_customers_pk', columns: [table.tenant_id, table.target] })],
);

/** What Stripe has told of invoices that are ours: each event once, however often it comes. */
export const stripeEvents = pgTable(
  'stripe_events',
  {
    id: text().primaryKey(),
    type: text().notNull(),
    invoice_id: text().notNull(),
    external_id: text().notNull(),
    /** When it happened there. */
    at: instant().notNull(),
    recorded_at: instant().notNull().defaultNow(),
  },
  (table) => [index().on(table.invoice_id, table.at)],
);
