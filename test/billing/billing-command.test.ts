import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Hono } from 'hono';
import type { Sql } from 'postgres';
import { Registry } from 'prom-client';
import { beforeAll, describe, expect, test } from 'vitest';
import { openDatabase } from '../../billing-worker/database/open.ts';
import type { Terms } from '../../billing-worker/invoices/scope.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { createBillingWorker } from '../../billing-worker/worker.ts';
import { listen } from '../../runtime/listen.ts';
import { modelsSchema } from '../../schemas/config/models.ts';
import { tenantsSchema } from '../../schemas/config/tenants.ts';
import type { UsageEvent } from '../../schemas/usage-event.ts';
import type { UsageStream } from '../../schemas/usage-stream.ts';
import { TestClock } from '../helpers/clock.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startProcess } from '../helpers/process.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { silent } from './databases.ts';
import { billed, streamEntry, usageEvent } from './events.ts';

/** `npm run billing` as a process, on the routes of a real worker. The tests are one story, in its order. */
const TOKEN = 'admin-token';
const card = (input: string) => modelsSchema.parse({ models: { sonnet: { input, output: '15.00' } } });
let terms: Terms = {
  tenants: tenantsSchema.parse({
    defaults: { capacity: 10_000, refill: 'daily', price_per_token: '0.0001', billing_cycle: { period: 'month' } },
    plans: { card: { rate_card: true }, yen: { currency: 'JPY', price_per_token: '1' } },
    tenants: { llm: { plan: 'card' }, tokyo: { plan: 'yen' } },
  }),
  models: card('3.00'),
};
let sql: Sql;
let app: Hono;
let url: string;
let dir: string;

beforeAll(async () => {
  const { drop, url: databaseUrl } = await createDatabase();
  atTestEnd(drop);
  const database = await openDatabase({ databaseUrl, dataDir: '/nonexistent', log: silent });
  atTestEnd(() => database.close());
  ({ sql } = database);
  ({ app } = createBillingWorker({
    sql,
    stream: {} as UsageStream,
    config: () => terms,
    invoicing: { issuer: 'INV', graceMs: 0 },
    adminToken: TOKEN,
    registry: new Registry(),
    clock: new TestClock(Date.parse('2026-10-20T12:00:00Z')),
    log: silent,
  }));
  url = await serve(app);
  dir = await tempDir('billing');
  await record(
    { limits: [billed(12_345)] },
    { limits: [billed(5)], tenant_id: 'globex', decided_at: Date.parse('2026-08-15T00:00:00Z') },
    { limits: [billed(5)], tenant_id: 'globex' },
    { limits: [billed(7)], tenant_id: 'tokyo' },
    { ...llm, usage: { input: 1_000_000 }, model: 'sonnet' },
    { ...llm, usage: { input: 2_000 }, model: 'unpriced' },
  );
});

const llm: Partial<UsageEvent> = { tenant_id: 'llm', type: 'settled', limits: [billed(0)] };
const SEPTEMBER = Date.parse('2026-09-15T12:00:00Z');

async function record(...events: Partial<UsageEvent>[]) {
  const ledger = new Ledger({ sql, terms: { tenants: terms.tenants, calendar: new Calendar() }, onCommit: () => {} });
  const whole = events.map((event) => usageEvent({ decided_at: SEPTEMBER, at: SEPTEMBER, ...event }));
  await ledger.append([...whole.map(streamEntry), streamEntry('{"v":1')]);
}

async function serve(served: Hono): Promise<string> {
  const { close, url: listening } = await listen(served, { host: '127.0.0.1', port: 0, variable: 'BILLING_PORT' });
  atTestEnd(close);
  return listening;
}

interface Ran {
  code: number | null;
  stdout: string;
  output: string;
}

async function billing(args: string[], { token = TOKEN, to = url } = {}): Promise<Ran> {
  const child = await startProcess({
    script: 'scripts/billing.mjs',
    args: ['--url', to, ...args],
    env: { ADMIN_TOKEN: token, npm_lifecycle_event: 'billing', INIT_CWD: dir },
  });
  const { code } = await child.exited;
  return { code, stdout: child.stdout.join('\n'), output: child.output.join('\n') };
}
/** What it must have said as JSON. */
async function json(...args: string[]) {
  const ran = await billing([...args, '--json']);
  expect(ran, ran.output).toMatchObject({ code: 0 });
  return JSON.parse(ran.stdout);
}
const count = async (table: string) => (await sql.unsafe(`select count(*)::int as n from ${table}`))[0]?.n;

describe('close', () => {
  test('as a dry run says what each cycle would come to, and writes nothing', async () => {
    expect(await json('close', '--dry-run')).toMatchObject({
      dry_run: true,
      closed: 5,
      failed: 0,
      invoices: 5,
      totals: { JPY: '7', USD: '4.23' },
      held: [{ model: 'unpriced', events: 1, tokens: '2000' }],
    });
    expect(await count('invoices')).toBe(0);
  });

  test('takes cycles that end by the end of a date, and goes on after one that fails', async () => {
    const failing = new Hono().all('*', async (c) => {
      if (c.req.method === 'POST' && c.req.path.includes('globex')) return c.json({ message: 'it fails' }, 500);
      return app.fetch(c.req.raw, c.env);
    });
    const to = await serve(failing);
    expect(await billing(['close', '--through', '2026-08-30'], { to })).toMatchObject({ code: 0 });
    expect(await count('invoices')).toBe(0);
    const ran = await billing(['close', '--through', '2026-09-30'], { to });
    expect(ran).toMatchObject({ code: 1 });
    expect(ran.stdout).toMatch(/^acme +2026-09-01T00:00:00.000Z +2026-10-01T00:00:00.000Z +INV-00000\d +1.23 USD$/m);
    expect(ran.stdout).toMatch(/^3 cycles closed: 3 invoices, 7 JPY, 4.23 USD$/m);
    expect(ran.stdout).toMatch(/^held, as unpriced has no price: 1 events, 2000 tokens$/m);
    expect(ran.output).toMatch(/^globex@2026-08-01T00:00:00.000Z: the billing worker answered 500: it fails$/m);
    expect(ran.output).toMatch(/^2 cycles could not be closed/m);
    expect(await count('invoices')).toBe(3);
  });

  test('again closes what is left, and then nothing', async () => {
    expect(await json('close')).toMatchObject({ closed: 2, invoices: 2, totals: { USD: '0.00' } });
    expect(await json('close')).toMatchObject({ closed: 0, invoices: 0, totals: {}, cycles: [] });
    const audit =
      await sql`select actor, source_ip, target, reason from audit_events where action = 'invoice.finalised'`;
    expect(audit).toHaveLength(5);
    expect(audit).toContainEqual({
      actor: 'admin',
      source_ip: '127.0.0.1',
      target: expect.any(String),
      reason: expect.stringMatching(/^INV-00000\d: 1.23 USD$/),
    });
  });
});

describe('an invoice', () => {
  let number: string;

  test('is found in the list, shown by its number, and given out byte for byte', async () => {
    const { data } = await json('invoices', '--tenant-id', 'acme');
    expect(data).toMatchObject([{ tenant_id: 'acme', total: '1.23', state: 'finalised' }]);
    number = data[0].number;
    const [kept] = await sql`select document from invoices where id = ${data[0].id}`;
    expect((await billing(['invoice', number, '--json'])).stdout).toBe(kept?.document);
    expect((await billing(['invoice', data[0].id])).stdout).toMatch(/^1 +Tokens +12345 +0.0001 +1 +1.2345 +1.23$/m);
  });

  test('leads to its events, and is written as CSV and as a page', async () => {
    const { data } = await json('invoice', number, '--events', '1');
    expect(data).toMatchObject([{ tokens: '12345', decided_at: '2026-09-15T12:00:00.000Z' }]);
    expect((await billing(['invoice', number, '--csv'])).stdout).toContain('12345');
    await billing(['invoice', number, '--html', '-o', 'invoice.html']);
    expect(await readFile(join(dir, 'invoice.html'), 'utf8')).toContain(number);
  });

  test('is credited, at most for what it was, and paid; nothing of it in a dry run', async () => {
    const reason = ['--reason', 'an outage'];
    await json('credit', number, '--amount', '1.00', ...reason, '--dry-run');
    await json('paid', number, '--dry-run');
    expect(await count('invoices')).toBe(5);
    expect(await json('credit', number, '--amount', '1.00', ...reason)).toMatchObject({ total: '-1.00' });
    expect(await billing(['credit', number, '--amount', '0.24', ...reason])).toMatchObject({
      code: 1,
      output: expect.stringContaining('at most the 0.23 USD that are left'),
    });
    expect(await json('paid', number, '--reference', 'pi_1')).toMatchObject({ state: 'paid' });
    expect(await json('void', number, ...reason)).toMatchObject({ state: 'void' });
    expect(await billing(['paid', number])).toMatchObject({ code: 1, output: expect.stringContaining('is void') });
    const audit =
      await sql`select action, reason from audit_events where action <> 'invoice.finalised' order by recorded_at`;
    expect(audit).toEqual([
      { action: 'invoice.credited', reason: 'INV-000006: -1.00 USD: an outage' },
      { action: 'invoice.paid', reason: 'pi_1' },
      { action: 'invoice.void', reason: 'an outage' },
    ]);
  });
});

test('a month is exported, a row for each line', async () => {
  const { stdout } = await billing(['export', '--month', '2026-10', '--tenant-id', 'llm']);
  const lines = stdout.trim().split('\n');
  expect(lines).toHaveLength(2);
  expect(lines[1]).toContain('1000000');
});

test('usage that waits for a price is listed, and so is what could not be read', async () => {
  expect((await json('held')).data).toMatchObject([{ tenant_id: 'llm', model: 'unpriced', tokens: '2000' }]);
  const { data } = await json('dead-letters', 'list');
  expect(data).toMatchObject([{ reason: expect.stringContaining('JSON') }]);
  const replayed = await billing(['dead-letters', 'replay', '--all', '--dry-run']);
  expect(replayed).toMatchObject({ code: 1, stdout: expect.stringContaining('still cannot be read') });
});

test('a running cycle and one that is over are previewed', async () => {
  await record({ limits: [billed(20_000)], decided_at: Date.parse('2026-10-10T00:00:00Z') });
  const of = ['preview', '--tenant-id', 'acme'];
  expect(await json(...of)).toMatchObject({ total: '2.00', events: 1 });
  expect(await json(...of, '--cycle', '2026-10-01')).toMatchObject({ total: '2.00', tenant_id: 'acme' });
});

test('drift is told, and repaired where it is asked for', async () => {
  expect((await json('reconcile')).ok).toBe(true);
  await sql`update usage_rollups set tokens = tokens + 1 where tenant_id = 'tokyo'`;
  const found = await billing(['reconcile']);
  expect(found.code).toBe(1);
  expect(found.stdout).toMatch(
    /^tokyo:\n {2}rollup 2026-09-01T00:00:00.000Z 2026-09-15.*: tokens 8, ledger 7\n {4}decisions \S+/m,
  );
  const dry = await billing(['reconcile', '--tenant-id', 'tokyo', '--repair', '--dry-run']);
  expect(dry).toMatchObject({ code: 1, stdout: expect.stringContaining('would be repaired: 1 changed') });
  const repaired = await billing(['reconcile', '--tenant-id', 'tokyo', '--repair']);
  expect(repaired).toMatchObject({ code: 0, stdout: expect.stringContaining('are repaired: 1 changed') });
  expect((await json('reconcile')).ok).toBe(true);
});

test('an invoice is priced again', async () => {
  terms = { ...terms, models: card('2.50') };
  const dry = await json('reprice', '--tenant-id', 'llm', '--dry-run');
  expect(dry.data).toMatchObject([
    { difference: '-0.50', credit_note: null, lines: [{ billed: '3.00', now: '2.50', difference: '-0.50' }] },
  ]);
  const ran = await billing(['reprice', dry.data[0].invoice.number]);
  expect(ran.stdout).toMatch(/^credit note INV-000007: -0.50 USD$/m);
  expect((await json('reprice', '--tenant-id', 'llm')).data).toMatchObject([{ difference: '0.00', credit_note: null }]);
});

test('what is wrong is said with what would be right', async () => {
  const wrong: [string[], RegExp, string?][] = [
    [['invoice', 'INV-999999'], /the billing worker answered 404: there is no such invoice/],
    [['invoices'], /the billing worker answered 401/, 'other'],
    [['invoices', '--state', 'open'], /"state" must be finalised, paid, void/],
    [['credit', 'INV-000001'], /required option '--reason <text>'/],
    [['close', '--through', '2026-02-30'], /2026-02-30 is no date/],
    [['reprice'], /name invoices, or give --tenant-id/],
    [['export', '--month', 'May'], /"month" must be a month of the calendar/],
    [['reconcile', '--cycle', '2026-10-01T00:00:00Z'], /"cycle" .* of "tenant_id", which is then needed/],
  ];
  for (const [args, message, token] of wrong) {
    const ran = await billing(args, token === undefined ? {} : { token });
    expect(ran, args.join(' ')).toMatchObject({ code: 1, output: expect.stringMatching(message) });
  }
});
