import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { createClient, type RedisClientType } from 'redis';
import { beforeEach, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../billing-worker/database/open.ts';
import { openKeyStore } from '../../billing-worker/keys/open-store.ts';
import { KeyPublisher } from '../../billing-worker/keys/publish.ts';
import { openRedisStream } from '../../billing-worker/stream/redis.ts';
import { createBillingWorker } from '../../billing-worker/worker.ts';
import { systemClock } from '../../runtime/clock.ts';
import { readEnvironment } from '../../runtime/config/environment.ts';
import { Closers } from '../../runtime/shutdown.ts';
import type { CounterStore } from '../../sidecar/counters/contract.ts';
import { KeyChanges } from '../../sidecar/keys/changes.ts';
import { eventually } from '../helpers/eventually.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { startWorker } from '../helpers/services.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { silent } from './databases.ts';
import { workerTerms } from './tenants.ts';

const STREAM = 'ocr:{p0}:usage';
const BY = { actor: 'admin', address: undefined };
const tenantId = 'acme';

let redis: RedisServer;
let admin: RedisClientType;
let store: CounterStore;
let databaseUrl: string;
let keys: KeyChanges;

beforeEach(async () => {
  redis = await startRedis();
  admin = createClient({ url: redis.url });
  admin.on('error', () => {});
  await admin.connect();
  atTestEnd(() => admin.destroy());
  store = await openStore();
  const database = await createDatabase();
  atTestEnd(database.drop);
  databaseUrl = database.url;
  keys = new KeyChanges({ store, issued: { forget: () => {} }, clock: systemClock });
});

async function openStore(): Promise<CounterStore> {
  const environment = readEnvironment({ REDIS_URL: redis.url, STORE_TIMEOUT_MS: '10000' });
  const process = { environment, log: silent, closers: new Closers(), print: () => {}, stop: () => {}, fail: () => {} };
  const opened = (await openKeyStore(process)) ?? expect.fail();
  atTestEnd(() => opened.close());
  return opened;
}

const issue = async () => (await keys.issue({ tenantId }, BY)).key;
const drained = () => eventually(async () => expect(await admin.xLen(STREAM)).toBe(0));

/** One that goes on, one in its grace, one that has taken its place, one that is revoked. */
async function fourKeys() {
  const [live, old, leaked] = [await issue(), await issue(), await issue()];
  const rotated = (await keys.rotate(old.id, { expiresAt: undefined, graceMs: 3_600_000 }, BY)) ?? expect.fail();
  const revoked = (await keys.revoke(leaked.id, BY)) ?? expect.fail();
  return [live, rotated.old, rotated.issued.key, revoked];
}

const kept = (ids: string[]) => Promise.all(ids.map((id) => store.apiKey(id)));

/** Whether a key's gate is closed to a take. */
async function isRefused(id: string): Promise<boolean> {
  const [closed] = await admin.keys(`*key%3A${id}*`);
  return closed !== undefined;
}

test('keys that are issued, rotated and revoked are back within seconds of a loss of Redis, as they were', {
  timeout: 60_000,
}, async () => {
  await startWorker({ REDIS_URL: redis.url, DATABASE_URL: databaseUrl, ADMIN_TOKEN: 'admin' });
  const before = await fourKeys();
  const ids = before.map(({ id }) => id);
  await drained();
  expect(await kept(ids)).toEqual(before);
  await admin.flushAll();
  expect(await kept(ids)).toEqual(Array(4).fill(undefined));
  await eventually(async () => expect(await kept(ids)).toEqual(before), { timeoutMs: 20_000 });
  expect(await Promise.all(ids.map(isRefused))).toEqual([false, false, false, true]);

  // A server that comes up without its files, while the worker runs.
  await redis.stop();
  for (const name of await readdir(redis.dir)) await rm(join(redis.dir, name), { recursive: true });
  await redis.restart();
  await eventually(() => admin.ping());
  await eventually(async () => expect(await kept(ids)).toEqual(before), { timeoutMs: 20_000 });
  expect(await Promise.all(ids.map(isRefused))).toEqual([false, false, false, true]);
  // From then on they are changed as ever.
  const [live] = before;
  expect(await keys.revoke(live?.id ?? '', BY)).toMatchObject({ revision: 2, revoked_at: expect.any(Number) });
});

test('a worker that starts after the loss gives them back, 10,000 of them', { timeout: 60_000 }, async () => {
  const database = await open();
  await database.sql`
    insert into api_keys (id, partition, revision, digest, tenant_id, created_at, created_by)
    select 'k0_' || lpad(n::text, 12, '0'), 0, 1, lpad(n::text, 64, '0'), ${tenantId}, now(), 'admin'
    from generate_series(1, 10000) as n`;
  const publisher = new KeyPublisher({ sql: database.sql, store, partitions: 1, clock: systemClock, log: silent });
  publisher.start();
  atTestEnd(() => publisher.stop());
  await eventually(async () => expect(await store.partitionsWithoutApiKeys()).toEqual([]), { timeoutMs: 30_000 });
  const [first, last] = await kept(['k0_000000000001', 'k0_000000010000']);
  expect([first?.revision, last?.digest]).toEqual([1, '10000'.padStart(64, '0')]);
});

test('a Redis that has turned volatile keeps no worker from starting', { timeout: 60_000 }, async () => {
  await admin.configSet('appendonly', 'no');
  const worker = await startWorker({ REDIS_URL: redis.url, DATABASE_URL: databaseUrl });
  await eventually(async () => expect(await store.partitionsWithoutApiKeys()).toEqual([]));
  expect((await fetch(`${worker.url}/health`)).status).toBe(200);
  // Of the PostgreSQL of the tests it says that it does not sync its files.
  const said = worker.process.output.filter((line) => !line.includes('PostgreSQL has'));
  expect(said.filter((line) => /"level":[45]0|ALLOW_VOLATILE_STORE/.test(line))).toEqual([]);
});

describe('what had not reached PostgreSQL is lost with Redis', () => {
  test('a key that was revoked then is live again, and can be revoked again', { timeout: 60_000 }, async () => {
    const { sql } = await open();
    const stream = await openRedisStream({
      url: redis.url,
      key: STREAM,
      consumer: 'a',
      registry: new Registry(),
      log: silent,
    });
    atTestEnd(() => stream.close());
    const worker = createBillingWorker({
      sql,
      stream,
      ...workerTerms,
      adminToken: undefined,
      registry: new Registry(),
      clock: systemClock,
      log: silent,
    });
    const publisher = new KeyPublisher({ sql, store, partitions: 1, clock: systemClock, log: silent });
    const key = await issue();
    worker.start();
    await drained();
    await worker.stop();
    await keys.revoke(key.id, BY);
    await admin.flushAll();
    publisher.start();
    atTestEnd(() => publisher.stop());
    await eventually(async () => expect(await store.apiKey(key.id)).toEqual(key));
    expect(await keys.revoke(key.id, BY)).toMatchObject({ id: key.id, revision: 2, revoked_at: expect.any(Number) });
    expect(await isRefused(key.id)).toBe(true);
  });
});

async function open(): Promise<Database> {
  const database = await openDatabase({ databaseUrl, dataDir: '/nonexistent', log: silent });
  atTestEnd(() => database.close());
  return database;
}
