import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { cp, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import postgres, { type Sql } from 'postgres';
import { createClient } from 'redis';
import { beforeAll, expect, test } from 'vitest';
import { openDatabase } from '../../billing-worker/database/open.ts';
import { ConfigError } from '../../runtime/config/config-error.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { eventually } from '../helpers/eventually.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { startWorker } from '../helpers/services.ts';
import { get, post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { apiKey, keyEvent } from './audit-events.ts';
import { silent } from './databases.ts';
import { billed, usageEvent } from './events.ts';

const ADMIN = { Authorization: 'Bearer admin' };
/** Old enough to be dropped, and the month after it. */
const now = new Date();
const [MONTH, NEXT] = [8, 7].map((ago) => Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - ago)) as [number, number];
const DAY_MS = 86_400_000;

const card = (models: object) => JSON.stringify({ models });
const TENANTS = JSON.stringify({
  defaults: { capacity: 10_000, refill: 'daily', price_per_token: '0.0001', billing_cycle: { period: 'month' } },
  plans: { card: { rate_card: true } },
  tenants: { acme: { plan: 'card' } },
});

interface Roles {
  /** As superuser, as the owner of the tables, and as the worker. */
  urls: Record<'admin' | 'owner' | 'worker', string>;
  names: Record<'owner' | 'worker', string>;
}

async function roles(): Promise<Roles> {
  const { drop, url } = await createDatabase();
  const database = new URL(url).pathname.slice(1);
  const suffix = randomUUID().slice(0, 8);
  const names = { owner: `owner_${suffix}`, worker: `worker "${suffix}"` };
  const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
  const admin = postgres(url, { max: 1, onnotice: () => {} });
  for (const name of Object.values(names)) await admin.unsafe(`create role ${quoted(name)} login password 'secret'`);
  await admin.unsafe(`alter database ${database} owner to ${quoted(names.owner)}`);
  await admin.end();
  atTestEnd(async () => {
    await drop();
    const after = postgres(url.replace(/[^/]*$/, 'postgres'), { max: 1 });
    for (const name of Object.values(names)) await after.unsafe(`drop role ${quoted(name)}`);
    await after.end();
  });
  const urlOf = (name: string) =>
    Object.assign(new URL(url), { username: encodeURIComponent(name), password: 'secret' }).href;
  return { urls: { admin: url, owner: urlOf(names.owner), worker: urlOf(names.worker) }, names };
}

const connect = (url: string): Sql => {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  atTestEnd(() => sql.end());
  return sql;
};

/** Takes invoices, as another billing system would. */
async function receiver(): Promise<{ url: string; taken: () => number }> {
  let taken = 0;
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => response.writeHead(204).end());
    taken++;
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  atTestEnd(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, taken: () => taken };
}

let given: Roles;
let admin: Sql;
let environment: Record<string, string>;
let config: string;
let redisUrl: string;
let sink: Awaited<ReturnType<typeof receiver>>;

beforeAll(async () => {
  given = await roles();
  admin = connect(given.urls.admin);
  redisUrl = (await startRedis()).url;
  sink = await receiver();
  config = join(await tempDir('config'), 'config');
  await cp(join(packageRoot, 'config'), config, { recursive: true });
  await writeFile(join(config, 'tenants.yaml'), TENANTS);
  await writeFile(join(config, 'models.yaml'), card({ known: { input: '1000', output: '0' } }));
  environment = {
    ADMIN_TOKEN: 'admin',
    CONFIG_DIR: config,
    REDIS_URL: redisUrl,
    DATABASE_URL: given.urls.worker,
    DATABASE_OWNER_URL: given.urls.owner,
    LEDGER_RETENTION_MONTHS: '3',
    CYCLE_GRACE_S: '0',
    INVOICE_WEBHOOK_URL: sink.url,
    INVOICE_WEBHOOK_SECRET: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  };
}, 60_000);

/** Usage of a model with a price and of one without, an issued key, and what cannot be read. */
async function fill(): Promise<void> {
  const redis = createClient({ url: redisUrl });
  await redis.connect();
  const of = (model: string, at: number) =>
    usageEvent({ type: 'settled', model, usage: { input: 1_000 }, limits: [billed(0)], decided_at: at, at });
  const known = of('known', MONTH + DAY_MS);
  for (const event of [
    known,
    known,
    of('new', MONTH + DAY_MS),
    of('known', NEXT + DAY_MS),
    keyEvent(apiKey()),
    'poison',
  ]) {
    await redis.xAdd('ocr:{p0}:usage', '*', { e: typeof event === 'string' ? event : JSON.stringify(event) });
  }
  await redis.close();
}

const one = async (text: string) => Object.values((await admin.unsafe(text))[0] ?? {})[0];

test('all that the worker does it does as a role that may change nothing that is final', {
  timeout: 120_000,
}, async () => {
  await fill();
  const worker = await startWorker(environment);
  const ask = async (path: string, body: object) => {
    const { body: answer, status } = await post(`${worker.url}${path}`, body, ADMIN);
    expect([path, status, answer]).toEqual([path, expect.toBeOneOf([200, 201]), expect.anything()]);
    return answer;
  };
  const cycle = (start: number) => `/v1/cycles/${encodeURIComponent(`acme@${new Date(start).toISOString()}`)}/close`;

  // Ledger, rollups, audit, keys and dead letters.
  await eventually(async () => expect(await one('select count(*)::int from usage_events')).toBe(3));
  await eventually(async () => expect(await one('select count(*)::int from dead_letters')).toBe(1));
  expect(await one('select sum(input_tokens)::int from usage_rollups')).toBe(3_000);
  expect(await one('select count(*)::int from api_keys')).toBe(1);
  const readable = JSON.stringify(usageEvent({ decided_at: NEXT, at: NEXT, limits: [billed(0)] }));
  await admin`insert into dead_letters (stream, stream_id, raw, digest, reason) values ('s', '1', ${readable}, 'd', 'r')`;
  expect(await ask('/v1/dead-letters/replay', { all: true })).toMatchObject({ replayed: [expect.anything()] });

  // Invoices; what was held is billed once there is a price.
  const first = (await ask(cycle(MONTH), {})).invoice;
  expect(first.total).toBe('1.00');
  expect(await one('select count(*)::int from held_events')).toBe(1);
  await writeFile(
    join(config, 'new.yaml'),
    card({ known: { input: '400', output: '0' }, new: { input: '7', output: '0' } }),
  );
  await rename(join(config, 'new.yaml'), join(config, 'models.yaml'));
  await eventually(async () => {
    const { body } = await get(`${worker.url}/v1/held?tenant_id=acme`, ADMIN);
    expect(body.data).toMatchObject([{ waits_for: 'invoice' }]);
  });
  const second = (await ask(cycle(NEXT), {})).invoice;
  expect(second.lines.filter(({ adjustment }: { adjustment: boolean }) => adjustment)).toHaveLength(1);
  expect(await one('select count(*)::int from held_events')).toBe(0);
  expect(await ask(`/v1/invoices/${first.id}/reprice`, {})).toMatchObject({ dry_run: false });
  expect(await one(`select total::text from invoices where kind = 'credit_note'`)).toBe('-0.60');
  await ask(`/v1/invoices/${second.id}/credit_notes`, { amount: '0.01', reason: 'an outage' });
  await ask(`/v1/invoices/${second.id}/paid`, {});
  await eventually(async () => {
    expect(await one(`select count(*)::int from invoice_deliveries where state = 'delivered'`)).toBe(4);
  });
  expect(sink.taken()).toBeGreaterThanOrEqual(4);

  // A rollup that was made wrong, and one that there is no event of.
  await admin`update usage_rollups set tokens = tokens + 5 where model = 'known'`;
  await admin`insert into usage_rollups select tenant_id, cycle_start, cycle_end, day, 'nobody', team_id, project_id, model, requests, denied,
    tokens, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd from usage_rollups where model = 'new'`;
  const repair = { tenant_id: 'acme', cycle: new Date(MONTH).toISOString() };
  expect(await ask('/v1/reconcile/repair', repair)).toMatchObject({ changed: 1, removed: 1 });

  // The owner drops what is old, and nothing that it is told of is lost.
  await worker.process.kill('SIGTERM');
  const again = await startWorker(environment);
  await again.process.waitForLine(/were dropped, as LEDGER_RETENTION_MONTHS says/, 20_000);
  expect(await one('select count(*)::int from usage_events')).toBe(0);
  expect(await one('select count(*)::int from usage_months_dropped')).toBeGreaterThanOrEqual(2);
  await again.process.kill('SIGTERM');
});

test('each statement that would change what is final is refused', { timeout: 60_000 }, async () => {
  const { close } = await openDatabase({
    databaseUrl: given.urls.worker,
    ownerUrl: given.urls.owner,
    dataDir: '/nonexistent',
    log: silent,
  });
  atTestEnd(close);
  const worker = connect(given.urls.worker);
  /** Each with a column of text. */
  const FINAL = {
    usage_events: 'reason',
    audit_events: 'reason',
    invoices: 'document',
    invoice_lines: 'kind',
    invoice_states: 'by',
    billed_events: 'invoice_id',
    invoice_adjustments: 'by',
    billed_adjustments: 'invoice_id',
  };
  const refused = [
    ...Object.entries(FINAL).flatMap(([table, column]) => [
      `update ${table} set ${column} = 'x'`,
      `delete from ${table}`,
      `truncate ${table} cascade`,
      `drop table ${table} cascade`,
      `alter table ${table} disable trigger all`,
      `alter table ${table} add column more text`,
      `create trigger t before insert on ${table} execute function refuse_change()`,
      `select 1 from ${table} for update`,
    ]),
    'delete from usage_events_default',
    'alter table usage_events detach partition usage_events_default',
    'drop trigger invoices_refuse_change on invoices',
    'drop function refuse_change cascade',
    `create or replace function refuse_change() returns trigger language plpgsql as 'begin return null; end'`,
    'set session_replication_role = replica',
    `set role "${given.names.owner}"`,
    'delete from usage_months_dropped',
    `insert into usage_months_dropped (month) values ('2026-01')`,
    'drop table usage_rollups',
    'truncate usage_rollups',
    'delete from invoice_numbers',
    'delete from invoice_deliveries',
    'delete from dead_letters',
    'create table more (id int)',
  ];
  for (const statement of refused) {
    // By the database's rights, not by a trigger, which could be gone.
    await expect(worker.unsafe(statement), statement).rejects.toThrow(/^(permission denied|must be owner)/);
  }
  for (const statement of [
    'delete from page_sessions',
    'delete from page_links',
    `update page_links set tenant_id = ''`,
  ]) {
    await worker.unsafe(statement);
  }
});

test('what the role was given beside is taken away at the next start', { timeout: 60_000 }, async () => {
  const owner = connect(given.urls.owner);
  const name = `"${given.names.worker.replaceAll('"', '""')}"`;
  await owner.unsafe(`grant update, delete, truncate on invoices, usage_events to ${name}`);
  const open = async (over: object = {}) =>
    openDatabase({ databaseUrl: given.urls.worker, ownerUrl: given.urls.owner, dataDir: '/x', log: silent, ...over });
  // As of two workers that start together.
  for (const database of await Promise.all([open(), open()])) await database.close();
  await expect(connect(given.urls.worker).unsafe('delete from invoices')).rejects.toThrow('permission denied');

  await expect(open({ databaseUrl: given.urls.admin })).rejects.toThrow(/is a superuser or has the owner's rights/);
  await expect(open({ databaseUrl: given.urls.owner })).rejects.toThrow(ConfigError);
  const elsewhere = given.urls.worker.replace(/[^/]*$/, 'postgres');
  await expect(open({ databaseUrl: elsewhere })).rejects.toThrow(/DATABASE_OWNER_URL is of the database/);
});
