import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sql } from 'postgres';
import { beforeAll, expect, test } from 'vitest';
import { openDatabase } from '../../billing-worker/database/open.ts';
import { closeCycle } from '../../billing-worker/invoices/close-cycle.ts';
import { dueCycles } from '../../billing-worker/invoices/due-cycles.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { modelsSchema } from '../../schemas/config/models.ts';
import { tenantsSchema } from '../../schemas/config/tenants.ts';
import type { UsageEvent } from '../../schemas/usage-event.ts';
import { TestClock } from '../helpers/clock.ts';
import { fullLength } from '../helpers/full-length.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startProcess } from '../helpers/process.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { startWorker } from '../helpers/services.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { silent } from './databases.ts';
import { billed, chunks, shuffled, streamEntry, usageEvent } from './events.ts';

const KILLS = fullLength ? 10 : 3;
const TENANTS = fullLength ? 60 : 24;
const MONTHS = ['2026-01', '2026-02'];
const SEED = 20_261_001;

const TERMS = {
  tenants: {
    defaults: { capacity: 10_000, refill: 'daily', price_per_token: '0.0001', billing_cycle: { period: 'month' } },
    plans: {
      card: { rate_card: true, markup_percent: '20' },
      team: { base_fee: '20.00', included_tokens: 500, price_per_token: '0.01', minimum: '25.00' },
    },
    tenants: Object.fromEntries(
      Array.from({ length: TENANTS }, (_, i) => [
        tenant(i),
        i % 3 === 0 ? {} : { plan: i % 3 === 1 ? 'card' : 'team' },
      ]),
    ),
  },
  models: { models: { sonnet: { input: '3.00', output: '15.00' }, haiku: { input: '0.80', output: '4.00' } } },
};
const terms = { tenants: tenantsSchema.parse(TERMS.tenants), models: modelsSchema.parse(TERMS.models) };

function tenant(i: number): string {
  return `tenant-${String(i).padStart(3, '0')}`;
}

/** The same numbers for the same seed, below 1. */
function random(seed: number) {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

const EVENTS: UsageEvent[] = shuffled(
  Array.from({ length: TENANTS }, (_, i) =>
    MONTHS.flatMap((month) =>
      Array.from({ length: 12 }, (_, n) => {
        const at = Date.parse(`${month}-${String(n + 2).padStart(2, '0')}T12:00:00Z`);
        const usage = { input: 1_000 * n + i, output: 77 * n };
        const more = { type: 'settled', usage, model: n % 2 ? 'sonnet' : 'haiku' } as const;
        return usageEvent({ tenant_id: tenant(i), decided_at: at, at, limits: [billed(100 + n * i)], ...more });
      }),
    ),
  ).flat(),
  SEED,
);

/** A database with the usage in its ledger. */
async function ledgerOf(): Promise<{ sql: Sql; url: string }> {
  const { drop, url } = await createDatabase();
  atTestEnd(drop);
  const database = await openDatabase({ databaseUrl: url, dataDir: '/nonexistent', log: silent });
  atTestEnd(() => database.close());
  const ledger = new Ledger({
    sql: database.sql,
    terms: { tenants: terms.tenants, calendar: new Calendar() },
    onCommit: () => {},
  });
  for (const some of chunks(EVENTS, 500)) await ledger.append(some.map(streamEntry));
  return { sql: database.sql, url };
}

/** Of each tenant and cycle the invoice, without what differs from run to run. */
async function documentsIn(sql: Sql): Promise<Map<string, unknown>> {
  const rows = await sql`select tenant_id, cycle_start, document from invoices where kind = 'invoice'`;
  const documents = rows.map(({ cycle_start, document, tenant_id }) => {
    const { finalised_at: _, id: __, number: ___, ...same } = JSON.parse(document);
    return [`${tenant_id} ${new Date(cycle_start).toISOString()}`, same] as const;
  });
  // One for each tenant and cycle: else some are lost here, and the sizes differ.
  expect(new Map(documents).size).toBe(rows.length);
  return new Map(documents);
}

let undisturbed: Map<string, unknown>;
let environment: Record<string, string>;
let sql: Sql;

beforeAll(async () => {
  const calm = await ledgerOf();
  const deps = {
    sql: calm.sql,
    terms: () => terms,
    issuer: 'INV',
    clock: new TestClock(Date.parse('2026-03-02T00:00:00Z')),
  };
  // Until now, as the worker does it that has the system's clock: a fee is owed for every cycle since.
  const endedBy = Date.parse('2026-03-01T00:00:00Z');
  for (const { cycle, tenantId } of await dueCycles({ endedBy }, terms, calm.sql)) {
    await closeCycle(tenantId, cycle, 'test', deps);
  }
  undisturbed = await documentsIn(calm.sql);

  const config = join(await tempDir('config'), 'config');
  await cp(join(packageRoot, 'config'), config, { recursive: true });
  // JSON is YAML.
  await writeFile(join(config, 'tenants.yaml'), JSON.stringify(TERMS.tenants));
  await writeFile(join(config, 'models.yaml'), JSON.stringify(TERMS.models));
  const redis = await startRedis();
  const ledger = await ledgerOf();
  sql = ledger.sql;
  environment = {
    ADMIN_TOKEN: 'admin',
    CONFIG_DIR: config,
    REDIS_URL: redis.url,
    DATABASE_URL: ledger.url,
    CYCLE_GRACE_S: '0',
  };
}, 120_000);

const close = (url: string) =>
  startProcess({
    script: 'scripts/billing.mjs',
    args: ['--url', url, 'close', '--through', '2026-02-28', '--json'],
    env: { ADMIN_TOKEN: 'admin' },
  });
const made = async () => (await sql`select count(*)::int as n from invoices`)[0]?.n as number;
const invoicesIn = (output: string[]) =>
  (JSON.parse(output.join('\n')).cycles as { id: string; invoice: { id: string } | null }[]).map(
    ({ id, invoice }) => [id, JSON.stringify(invoice)] as const,
  );

test('killed with -9 while it closes, and run again, and by two at once: one invoice of each cycle, the same bytes', {
  timeout: 300_000,
}, async () => {
  const next = random(SEED);
  const all = undisturbed.size;
  let inTheMiddle = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const before = await made();
    const worker = await startWorker(environment);
    const command = await close(worker.url);
    const until = before + 1 + Math.floor((next() * (all - before)) / 2);
    while ((await made()) < until);
    await new Promise((resolve) => setTimeout(resolve, next() * 10));
    await worker.process.kill('SIGKILL');
    const after = await made();
    if (after < all) inTheMiddle++;
    // What was cut off has failed, and is said so.
    expect(await command.exited).toMatchObject({ code: after < all ? 1 : 0 });
  }
  expect(inTheMiddle).toBeGreaterThan(0);

  const workers = await Promise.all([startWorker(environment), startWorker(environment)]);
  const commands = await Promise.all(workers.map(({ url }) => close(url)));
  for (const command of commands) expect(await command.exited).toMatchObject({ code: 0 });
  const [one, two] = commands.map(({ stdout }) => new Map(invoicesIn(stdout)));
  for (const [cycle, invoice] of one ?? []) expect(two?.get(cycle) ?? invoice).toBe(invoice);

  expect(await documentsIn(sql)).toEqual(undisturbed);
  const numbers = (await sql`select number::int as number from invoices order by number`).map(({ number }) => number);
  expect(numbers).toEqual(Array.from({ length: all }, (_, i) => i + 1));
  const [counts] = await sql`select (select count(*)::int from billed_events) as billed,
    (select count(*)::int from invoice_states) as states, (select last::int from invoice_numbers) as last,
    (select count(*)::int from audit_events where action = 'invoice.finalised') as audited`;
  expect(counts).toEqual({ billed: EVENTS.length, states: all, last: all, audited: all });
});

test('what was given out is what is kept: closed once more, nothing is made, and the bytes are the same', async () => {
  const worker = await startWorker(environment);
  const before = await sql`select id, document from invoices order by id`;
  const [first] = before;
  const document = JSON.parse(first?.document);
  const headers = { Authorization: 'Bearer admin' };
  const path = `/v1/cycles/${encodeURIComponent(`${document.tenant_id}@${document.cycle.start}`)}/close`;
  const again = await (await fetch(`${worker.url}${path}`, { method: 'POST', headers })).json();
  expect(again).toMatchObject({ already: true, invoice: document });
  const given = await fetch(`${worker.url}/v1/invoices/${document.number}`, { headers });
  expect(await given.text()).toBe(first?.document);
  expect(await sql`select id, document from invoices order by id`).toEqual(before);
});
