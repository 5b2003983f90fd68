import { expect, test } from 'vitest';
import { openDatabase } from '../../billing-worker/database/open.ts';
import { previewCycle } from '../../billing-worker/invoices/close-cycle.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { usageByDay } from '../../billing-worker/pages/data/usage-by-day.ts';
import { modelsSchema } from '../../schemas/config/models.ts';
import { tenantsSchema } from '../../schemas/config/tenants.ts';
import { silent } from '../billing/databases.ts';
import { streamEntry } from '../billing/events.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { history } from './history.ts';

const OCTOBER = { start: Date.parse('2026-10-01T00:00:00Z'), end: Date.parse('2026-11-01T00:00:00Z') };

const TERMS = {
  tenants: tenantsSchema.parse({
    defaults: { capacity: 10_000, refill: 'daily', price_per_token: '0.0001', billing_cycle: { period: 'month' } },
    plans: {
      metered: { rate_card: true, markup_percent: '12.5' },
      both: { rate_card: true, price_per_token: '0.00002' },
    },
    tenants: { acme: {}, globex: { plan: [{ name: 'metered' }, { name: 'both', from: '2026-10-11' }] } },
  }),
  models: modelsSchema.parse({
    models: {
      'anthropic/claude-sonnet-4-5': {
        input: '3.00',
        output: '15.00',
        prices: [{ effective_from: '2026-10-21', input: '2.00', output: '11.00', reasoning: '20.00' }],
      },
      'anthropic/claude-haiku-4-5': { input: '0.80', output: '4.00' },
    },
  }),
};

test('the spend of the pages is what the invoice comes to, by plans, prices and markups that change within the month', async () => {
  const { drop, url } = await createDatabase();
  atTestEnd(drop);
  const { close, sql } = await openDatabase({ databaseUrl: url, dataDir: '/nonexistent', log: silent });
  atTestEnd(close);
  const ledger = new Ledger({ sql, terms: { tenants: TERMS.tenants, calendar: new Calendar() }, onCommit: () => {} });
  const reasoning = { reasoning: 50 };
  const events = history(31, OCTOBER.end).map((event) =>
    event.usage ? { ...event, usage: { ...event.usage, ...reasoning } } : event,
  );
  await ledger.append(events.map(streamEntry));
  for (const tenantId of ['acme', 'globex']) {
    const invoice = await previewCycle(tenantId, OCTOBER, { sql, terms: () => TERMS });
    const days = { tenantId, from: '2026-10-01', to: '2026-11-01' };
    const [total] = await usageByDay({ ...days, by: 'total', daily: false }, TERMS, sql);
    expect(Number(invoice.total)).toBeGreaterThan(0.5);
    // Each line of the invoice is rounded to a cent.
    expect(Math.abs(Number(total?.spend) - Number(invoice.total))).toBeLessThanOrEqual(0.005 * invoice.lines.length);
    for (const by of ['model', 'user'] as const) {
      const parts = await usageByDay({ ...days, by, daily: true }, TERMS, sql);
      expect(parts.reduce((sum, { spend }) => sum + Number(spend), 0)).toBeCloseTo(Number(total?.spend), 9);
      expect(parts.reduce((sum, { requests }) => sum + requests, 0)).toBe(total?.requests);
    }
  }
});
