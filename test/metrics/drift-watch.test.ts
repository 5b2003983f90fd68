import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { observeDatabase } from '../../billing-worker/metrics/database.ts';
import { DriftWatch } from '../../billing-worker/metrics/drift-watch.ts';
import { SOME_DATABASES, silent } from '../billing/databases.ts';
import { streamEntry, usageEvent } from '../billing/events.ts';
import { tenants, workerTerms } from '../billing/tenants.ts';
import { TestClock } from '../helpers/clock.ts';

const NOW = Date.parse('2026-01-15T13:00:00Z');

test.each(SOME_DATABASES)(
  'tells of how many tenants the ledger does not agree, and when it has looked ($name)',
  async ({ open }) => {
    const { sql } = await open();
    const registry = new Registry();
    const terms = { tenants, calendar: new Calendar() };
    const ledger = new Ledger({ sql, terms, onCommit: () => {} });
    await ledger.append(['acme', 'berlin'].map((tenant_id) => streamEntry(usageEvent({ tenant_id, limits: [] }))));
    const watch = new DriftWatch({
      sql,
      terms: workerTerms.config,
      registry,
      clock: new TestClock(NOW),
      log: silent,
      restMs: () => 0,
    });
    expect(await registry.metrics()).not.toContain('openclaw_ledger_drifting_tenants{');
    expect(await registry.metrics()).toContain('openclaw_ledger_reconciled_timestamp_seconds 0\n');
    await watch.round();
    expect(await registry.metrics()).toContain('openclaw_ledger_drifting_tenants{kind="rollups"} 0\n');
    expect(await registry.metrics()).toContain(`openclaw_ledger_reconciled_timestamp_seconds ${NOW / 1_000}\n`);
    await sql`update usage_rollups set requests = requests + 1 where tenant_id = 'berlin'`;
    await watch.round();
    const text = await registry.metrics();
    expect(text).toContain('openclaw_ledger_drifting_tenants{kind="rollups"} 1\n');
    expect(text).toContain('openclaw_ledger_drifting_tenants{kind="counters"} 0\n');
  },
);

test.each(SOME_DATABASES)(
  'the database is up until it is away, and dead letters wait in it ($name)',
  async ({ open }) => {
    const { close, sql } = await open();
    const registry = new Registry();
    observeDatabase(registry, sql);
    const ledger = new Ledger({ sql, terms: { tenants, calendar: new Calendar() }, onCommit: () => {} });
    await ledger.append([streamEntry('poison'), streamEntry('{}')]);
    expect(await registry.metrics()).toContain('openclaw_database_up 1\n');
    expect(await registry.metrics()).toContain('openclaw_dead_letters_waiting 2\n');
    await close();
    const text = await registry.metrics();
    expect(text).toContain('openclaw_database_up 0\n');
    expect(text).toContain('openclaw_dead_letters_waiting Nan\n');
  },
);
