import postgres from 'postgres';
import { Registry } from 'prom-client';
import { createClient, type RedisClientType } from 'redis';
import { beforeEach, describe, expect, test } from 'vitest';
import { connectServer } from '../../billing-worker/database/connect.ts';
import { type Database, openDatabase } from '../../billing-worker/database/open.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { openRedisStream } from '../../billing-worker/stream/redis.ts';
import { type BillingWorker, createBillingWorker } from '../../billing-worker/worker.ts';
import { systemClock } from '../../runtime/clock.ts';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { SOME_DATABASES, silent } from './databases.ts';
import { billed, chunks, streamEntry, usageEvent } from './events.ts';
import { tenants, workerTerms } from './tenants.ts';

const KEY = 'ocr:{p0}:usage';

let server: RedisServer;
let redis: RedisClientType;

beforeEach(async () => {
  server = await startRedis();
  redis = createClient({ url: server.url });
  redis.on('error', () => {});
  await redis.connect();
  atTestEnd(() => redis.destroy());
});

/** Appends so many events of one token each, and gives their number. */
async function add(count: number): Promise<number> {
  const events = Array.from({ length: count }, (_, i) => usageEvent({ user_id: `user-${i % 9}`, limits: [billed(1)] }));
  for (const some of chunks(events, 500)) {
    await Promise.all(some.map((event) => redis.xAdd(KEY, '*', { e: JSON.stringify(event) })));
  }
  return count;
}

async function startWorker(sql: Database['sql'], consumer = 'a'): Promise<BillingWorker & { registry: Registry }> {
  const registry = new Registry();
  const stream = await openRedisStream({ url: server.url, key: KEY, consumer, registry, log: silent });
  const worker = createBillingWorker({
    sql,
    stream,
    ...workerTerms,
    adminToken: 'admin',
    registry,
    clock: systemClock,
    log: silent,
  });
  worker.start();
  atTestEnd(async () => {
    await worker.stop();
    await stream.close();
  });
  return { ...worker, registry };
}

/** All of it is in the ledger and the rollups, once, and nothing is left in the stream. */
async function expectAll(sql: Database['sql'], total: number): Promise<void> {
  const settled = async () => {
    expect(await redis.xLen(KEY)).toBe(0);
    const [row] = await sql`
      select (select count(*)::int from usage_events) as events, (select count(distinct id)::int from usage_events) as ids,
        (select sum(tokens)::int from usage_rollups) as tokens, (select sum(cost_usd) from usage_rollups) as cost`;
    const cost = `${total / 10_000}`.includes('.') ? (total / 10_000).toFixed(12) : `${total / 10_000}.000000000000`;
    expect(row).toEqual({ events: total, ids: total, tokens: total, cost });
  };
  await eventually(settled, { timeoutMs: 30_000 });
}

describe.each(SOME_DATABASES)('the billing worker on Redis and $name', ({ open }) => {
  test('carries what was there before it and what comes while it runs, and says so in its metrics', async () => {
    const { sql } = await open();
    await add(2_500);
    const { app } = await startWorker(sql);
    await redis.xAdd(KEY, '*', { e: 'poison' });
    await add(500);
    await expectAll(sql, 3_000);
    const metrics = await (await app.request('/metrics')).text();
    expect(metrics).toContain('openclaw_ledger_events_total{type="consumed"} 3000');
    expect(metrics).toContain('openclaw_ledger_dead_letters_total 1');
    expect(metrics).toContain('openclaw_usage_stream_lag_entries 0');
    expect(metrics).toMatch(/openclaw_ledger_batch_duration_seconds_count [1-9]/);
    const usage = await app.request('/v1/usage?tenant_id=acme&from=2026-01-01T00:00:00Z', {
      headers: { Authorization: 'Bearer admin' },
    });
    expect(await usage.json()).toMatchObject({ data: [{ requests: 3_000, cost_usd: '0.30' }] });
  });

  test('two workers at once on one stream: each event once', async () => {
    const { sql } = await open();
    await Promise.all(['a', 'b'].map((name) => startWorker(sql, name)));
    const total = await add(6_000);
    await expectAll(sql, total);
    const consumers = await redis.xInfoConsumers(KEY, 'ledger');
    expect(consumers.map(({ name }) => name).sort()).toEqual(['a', 'b']);
  });

  test('stopped and started again, it goes on where it was', async () => {
    const { sql } = await open();
    let total = await add(3_000);
    const first = await startWorker(sql);
    await eventually(async () => expect((await sql`select 1 from usage_events limit 1`).count).toBe(1));
    await first.stop();
    expect((await redis.xPending(KEY, 'ledger')).pending).toBe(0);
    total += await add(1_000);
    await startWorker(sql);
    await expectAll(sql, total);
  });

  test('a Redis that is killed and comes back', { timeout: 60_000 }, async () => {
    const { sql } = await open();
    const total = await add(4_000);
    await startWorker(sql);
    await eventually(async () => expect((await sql`select 1 from usage_events limit 1`).count).toBe(1));
    await server.kill();
    await server.restart();
    await eventually(() => redis.ping());
    await expectAll(sql, total);
  });
});

describe('a PostgreSQL server that', () => {
  async function open() {
    const { drop, url } = await createDatabase();
    const { sql, close } = await openDatabase({ databaseUrl: url, dataDir: '/nonexistent', log: silent });
    const administrator = postgres(url.replace(/[^/]*$/, 'postgres'), { max: 1, onnotice: () => {} });
    atTestEnd(async () => {
      await close();
      await administrator.end();
      await drop();
    });
    return { sql, url, administrator, name: new URL(url).pathname.slice(1) };
  }

  test.runIf(fullLength)('breaks every connection again and again, also at COMMIT, gets each event once', async () => {
    const { administrator, name, sql } = await open();
    const total = await add(20_000);
    await startWorker(sql);
    let broken = 0;
    for (let round = 0; round < 12 && (await redis.xLen(KEY)) > 0; round++) {
      await new Promise((resolve) => setTimeout(resolve, 40 * round));
      broken += (await administrator`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`)
        .count;
    }
    expect(broken).toBeGreaterThan(1);
    await expectAll(sql, total);
  });

  test('is away: nothing is acknowledged, health says so, and it is all there when it is back', async () => {
    const { administrator, name, sql } = await open();
    const { app } = await startWorker(sql);
    await eventually(async () => expect(await redis.xInfoGroups(KEY)).toHaveLength(1));
    await administrator.unsafe(`alter database ${name} allow_connections false`);
    await administrator`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`;
    const total = await add(1_500);
    await eventually(async () => expect((await redis.xPending(KEY, 'ledger')).pending).toBeGreaterThan(0));
    expect((await app.request('/health')).status).toBe(503);
    const usage = await app.request('/v1/usage', { headers: { Authorization: 'Bearer admin' } });
    expect([usage.status, await usage.json()]).toEqual([
      503,
      { code: 'internal_error', message: 'the database cannot be reached' },
    ]);
    expect(await redis.xLen(KEY)).toBe(1_500);
    await administrator.unsafe(`alter database ${name} allow_connections true`);
    await expectAll(sql, total);
    expect((await app.request('/health')).status).toBe(200);
  });

  test('is held up by a lock rolls the batch back within the time limit, and takes it later', async () => {
    const { sql, url } = await open();
    const impatient = connectServer(url, { log: silent, max: 1, statementTimeoutMs: 300 });
    const ledger = new Ledger({
      sql: impatient,
      terms: { tenants, calendar: new Calendar() },
      onCommit: () => {},
    });
    const entries = Array.from({ length: 10 }, () => streamEntry(usageEvent()));
    await sql.begin(async (locking) => {
      await locking`lock table usage_rollups in exclusive mode`;
      await expect(ledger.append(entries)).rejects.toThrow('statement timeout');
    });
    expect((await sql`select 1 from usage_events`).count).toBe(0);
    await ledger.append(entries);
    expect((await sql`select 1 from usage_events`).count).toBe(10);
    await impatient.end();
  });
});
