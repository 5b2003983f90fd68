import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  index,
  integer,
  jsonb,
  numeric,
  pgTable,
  primaryKey,
  text,
  timestamp,
  unique,
  uniqueIndex,
} from 'drizzle-orm/pg-core';

const instant = () => timestamp({ withTimezone: true, mode: 'date' });
/** Of any number of places: a product of a price and a quantity is kept whole. */
const exact = () => numeric();

export const INVOICE_KINDS = ['invoice', 'credit_note'] as const;
export const INVOICE_STATES = ['finalised', 'paid', 'void'] as const;

/**
 * What a tenant was billed for a cycle, and credit notes. A row is never changed: triggers refuse it. What becomes of an
 * invoice is in `invoice_states`.
 */
export const invoices = pgTable(
  'invoices',
  {
    /** UUIDv7. */
    id: text().primaryKey(),
    kind: text().$type<(typeof INVOICE_KINDS)[number]>().notNull(),
    issuer: text().notNull(),
    /** Of the issuer, from 1 on, without a hole. */
    number: bigint({ mode: 'number' }).notNull(),
    tenant_id: text().notNull(),
    cycle_start: instant().notNull(),
    cycle_end: instant().notNull(),
    currency: text().notNull(),
    /** The sum of the lines' rounded amounts; of a credit note negative. */
    total: exact().notNull(),
    /** Of a credit note: the invoice that it corrects. */
    credits: text(),
    reason: text(),
    /** The invoice as JSON, byte for byte as it is given out. */
    document: text().notNull(),
    finalised_at: instant().notNull(),
  },
  (table) => [
    unique('invoices_number').on(table.issuer, table.number),
    uniqueIndex('invoices_cycle').on(table.tenant_id, table.cycle_start).where(sql`${table.kind} = 'invoice'`),
    index().on(table.tenant_id, table.cycle_end),
    index().on(table.credits),
  ],
);

/** The lines of invoices, in their order. Never changed. */
export const invoiceLines = pgTable(
  'invoice_lines',
  {
    invoice_id: text()
      .notNull()
      .references(() => invoices.id),
    line: integer().notNull(),
    kind: text().notNull(),
    description: text().notNull(),
    /** For usage of an earlier cycle, whose invoice was final already. */
    adjustment: boolean().notNull(),
    cycle_start: instant().notNull(),
    cycle_end: instant().notNull(),
    /** The part of the cycle that the plan held for. */
    plan: text(),
    span_start: instant().notNull(),
    span_end: instant().notNull(),
    model: text(),
    /** As the events name it: its id, and its aliases. */
    model_names: jsonb().$type<string[]>(),
    token_type: text(),
    /** From when on the price holds; null: ever since. */
    price_from: instant(),
    /** Until when; null: for ever. */
    price_to: instant(),
    quantity: exact().notNull(),
    unit: text().notNull(),
    unit_price: exact().notNull(),
    per: integer().notNull(),
    exact_amount: exact().notNull(),
    amount: exact().notNull(),
  },
  (table) => [primaryKey({ name: 'invoice_lines_pk', columns: [table.invoice_id, table.line] })],
);

/** Which invoice an event was billed on: one at most, whatever happens. Never changed. */
export const billedEvents = pgTable(
  'billed_events',
  {
    event_id: text().notNull(),
    decided_at: instant().notNull(),
    invoice_id: text().notNull(),
  },
  (table) => [
    primaryKey({ name: 'billed_events_pk', columns: [table.event_id, table.decided_at] }),
    index().on(table.invoice_id),
  ],
);

/** Events that wait for a price, and are billed once there is one: found when their cycle was closed. */
export const heldEvents = pgTable(
  'held_events',
  {
    event_id: text().notNull(),
    decided_at: instant().notNull(),
    tenant_id: text().notNull(),
    cycle_start: instant().notNull(),
    cycle_end: instant().notNull(),
    model: text().notNull(),
    held_at: instant().notNull(),
  },
  (table) => [
    primaryKey({ name: 'held_events_pk', columns: [table.event_id, table.decided_at] }),
    index().on(table.tenant_id, table.model),
  ],
);

/** What became of an invoice: the latest row holds. Rows are added, and never changed. */
export const invoiceStates = pgTable(
  'invoice_states',
  {
    invoice_id: text()
      .notNull()
      .references(() => invoices.id),
    /** From 1 on. */
    step: integer().notNull(),
    state: text().$type<(typeof INVOICE_STATES)[number]>().notNull(),
    at: instant().notNull(),
    by: text().notNull(),
    reason: text(),
    /** Where the payment is found, at Stripe for example. */
    reference: text(),
  },
  (table) => [primaryKey({ name: 'invoice_states_pk', columns: [table.invoice_id, table.step] })],
);

/** The last number that each issuer has given. */
export const invoiceNumbers = pgTable('invoice_numbers', {
  issuer: text().primaryKey(),
  last: bigint({ mode: 'number' }).notNull(),
});

/**
 * What an invoice was billed too little, or given back beyond what is left of it, by a price that was put right since: a line of
 * the tenant's next invoice. Never changed.
 */
export const invoiceAdjustments = pgTable(
  'invoice_adjustments',
  {
    /** UUIDv7. */
    id: text().primaryKey(),
    /** The invoice that was priced again. */
    invoice_id: text().notNull(),
    /** From 1 on, within the invoice. */
    step: integer().notNull(),
    tenant_id: text().notNull(),
    /** Rounded to the currency's minor unit; negative where it is given back. */
    amount: exact().notNull(),
    currency: text().notNull(),
    /** What each of its lines was billed, and comes to now. */
    lines: jsonb().$type<object[]>().notNull(),
    created_at: instant().notNull(),
    by: text().notNull(),
  },
  (table) => [unique('invoice_adjustments_step').on(table.invoice_id, table.step), index().on(table.tenant_id)],
);

/** Which invoice an adjustment is a line of: one at most. Never changed. */
export const billedAdjustments = pgTable(
  'billed_adjustments',
  {
    adjustment_id: text().primaryKey(),
    invoice_id: text().notNull(),
  },
  (table) => [index().on(table.invoice_id)],
);
