import type { Sql } from 'postgres';
import { beforeAll, describe, expect, test } from 'vitest';
import { closeCycle, type InvoicingDeps } from '../../billing-worker/invoices/close-cycle.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { dropOldPartitions } from '../../billing-worker/partitions/drop.ts';
import { makePartitions } from '../../billing-worker/partitions/make.ts';
import { reconcile } from '../../billing-worker/reconcile/reconcile.ts';
import { repairRollups } from '../../billing-worker/reconcile/repair.ts';
import { RepriceRefused, reprice } from '../../billing-worker/reprice/reprice.ts';
import { TestClock } from '../helpers/clock.ts';
import { DATABASES } from './databases.ts';
import { billed, streamEntry, usageEvent } from './events.ts';
import { tenants, workerTerms } from './tenants.ts';

const cycle = { start: Date.parse('2026-01-01T00:00:00Z'), end: Date.parse('2026-02-01T00:00:00Z') };
const LATER = Date.parse('2026-08-15T00:00:00Z');

describe.each(DATABASES)('on $name, of a month whose events were dropped for their age', ({ open }) => {
  let sql: Sql;
  let deps: InvoicingDeps;
  let invoiceId: string;

  beforeAll(async () => {
    ({ sql } = await open());
    deps = { sql, terms: workerTerms.config, issuer: 'INV', clock: new TestClock(LATER) };
    const ledger = new Ledger({ sql, terms: { tenants, calendar: new Calendar() }, onCommit: () => {} });
    const events = Array.from({ length: 20 }, () => usageEvent({ limits: [billed(1_000)] }));
    await ledger.append(events.map(streamEntry));
    invoiceId = (await closeCycle('acme', cycle, 'test', deps)).invoice?.id ?? '';
    await makePartitions(LATER, sql);
    expect((await dropOldPartitions(3, LATER, sql)).dropped).toContain('2026-01');
    const [left] = await sql`select count(*)::int as n from usage_events`;
    expect(left?.n).toBe(0);
  }, 120_000);

  const rolledUp = async () => (await sql`select sum(tokens)::int as tokens from usage_rollups`)[0]?.tokens;

  test('reconcile has nothing to say: it cannot be proved, and is no drift', async () => {
    expect(await reconcile({ limit: 10 }, deps)).toMatchObject({ ok: true, data: [] });
  });

  test('a repair leaves its rollups as they are', async () => {
    const repair = { tenantId: 'acme', cycleStart: new Date(cycle.start).toISOString(), dryRun: false, by: 'test' };
    expect(await repairRollups(repair, deps)).toEqual({ changed: 0, added: 0, removed: 0 });
    expect(await rolledUp()).toBe(20_000);
  });

  test('an invoice is not priced again: all of it would be given back', async () => {
    for (const dryRun of [true, false]) {
      await expect(reprice({ invoiceId, dryRun, by: 'test' }, deps)).rejects.toThrow(RepriceRefused);
    }
  });
});
