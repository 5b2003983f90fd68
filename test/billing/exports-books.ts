import type { Sql } from 'postgres';
import { closeCycle } from '../../billing-worker/invoices/close-cycle.ts';
import { issueCreditNote } from '../../billing-worker/invoices/credit-note.ts';
import type { InvoiceDocument } from '../../billing-worker/invoices/document.ts';
import { readInvoice } from '../../billing-worker/invoices/read.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { modelsSchema } from '../../schemas/config/models.ts';
import { tenantsSchema } from '../../schemas/config/tenants.ts';
import type { UsageEvent } from '../../schemas/usage-event.ts';
import { TestClock } from '../helpers/clock.ts';
import { billed, streamEntry, usageEvent } from './events.ts';

const SEPTEMBER = { start: Date.parse('2026-09-01T00:00:00Z'), end: Date.parse('2026-10-01T00:00:00Z') };
const OCTOBER = { start: SEPTEMBER.end, end: Date.parse('2026-11-01T00:00:00Z') };

export const TERMS = {
  tenants: tenantsSchema.parse({
    defaults: { capacity: 10_000, refill: 'daily', price_per_token: '0.0001', billing_cycle: { period: 'month' } },
    plans: {
      card: { rate_card: true },
      yen: { currency: 'JPY', base_fee: '500', price_per_token: '3' },
      krona: { currency: 'ISK', base_fee: '5', price_per_token: '1' },
      dinar: { currency: 'KWD', price_per_token: '0.001' },
    },
    tenants: {
      acme: {},
      llm: { plan: 'card' },
      tokyo: { plan: 'yen' },
      reykjavik: { plan: 'krona' },
      kuwait: { plan: 'dinar' },
      known: { stripe_customer: 'cus_known' },
    },
  }),
  models: modelsSchema.parse({
    models: Object.fromEntries(
      Array.from({ length: 30 }, (_, index) => [`lab/model-${index}`, { input: '3.00', output: '15.00' }]),
    ),
  }),
};

/** Makes invoices as the billing worker does: usage into the ledger, a cycle closed. */
export function openBooks(sql: Sql) {
  const clock = new TestClock(Date.parse('2026-10-02T12:00:00Z'));
  const deps = { sql, terms: () => TERMS, issuer: 'INV', clock };
  const ledger = new Ledger({ sql, terms: { tenants: TERMS.tenants, calendar: new Calendar() }, onCommit: () => {} });

  async function invoiceOf(tenant: string, events: Partial<UsageEvent>[], cycle = SEPTEMBER): Promise<InvoiceDocument> {
    const at = cycle.start + 86_400_000;
    const whole = events.map((event) => usageEvent({ tenant_id: tenant, at, decided_at: at, ...event }));
    await ledger.append(whole.map(streamEntry));
    const { invoice } = await closeCycle(tenant, cycle, 'test', deps);
    if (!invoice) throw new Error(`nothing to bill to ${tenant}`);
    return invoice;
  }

  return {
    clock,
    /** Of so many bucket tokens: 100 to the cent. */
    tokens: (tenant: string, tokens: number) => invoiceOf(tenant, [{ limits: [billed(tokens)] }]),
    october: (tenant: string, tokens: number) => invoiceOf(tenant, [{ limits: [billed(tokens)] }], OCTOBER),
    /** Of so many lines, two for each model. */
    models: (tenant: string, models: number) =>
      invoiceOf(
        tenant,
        Array.from({ length: models }, (_, index) => ({
          type: 'settled' as const,
          limits: [billed(0)],
          model: `lab/model-${index}`,
          usage: { input: 1_234_567, output: 345_678 },
        })),
      ),
    async credit(invoice: InvoiceDocument, amount: string, reason = 'an outage'): Promise<InvoiceDocument> {
      const note = await issueCreditNote({ invoiceId: invoice.id, amount, reason, by: 'test' }, deps);
      if (!note) throw new Error('there is no such invoice');
      return note;
    },
    stateOf: async ({ id }: InvoiceDocument) => (await readInvoice(id, sql))?.state,
  };
}
