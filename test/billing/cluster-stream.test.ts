import { Registry } from 'prom-client';
import { createCluster } from 'redis';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Database } from '../../billing-worker/database/open.ts';
import { openClusterStream } from '../../billing-worker/stream/cluster.ts';
import { openUsageStream } from '../../billing-worker/stream/open.ts';
import { createBillingWorker } from '../../billing-worker/worker.ts';
import { systemClock } from '../../runtime/clock.ts';
import { readEnvironment } from '../../runtime/config/environment.ts';
import { CLUSTER_PARTITIONS, type StreamEntry, type UsageStream, usageStreamKey } from '../../schemas/usage-stream.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { ask, type RedisCluster, startRedisCluster, untilWhole } from '../helpers/redis-cluster.ts';
import type { RedisServer } from '../helpers/redis-server.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { DATABASES, silent } from './databases.ts';
import { billed, usageEvent } from './events.ts';
import { workerTerms } from './tenants.ts';

const LOST = 'openclaw_usage_stream_lost_entries_total';
const PARTITIONS = Array.from({ length: CLUSTER_PARTITIONS }, (_, partition) => partition);

const [{ open: openPostgres }] = DATABASES as [(typeof DATABASES)[0]];

let cluster: RedisCluster;
let redis: Awaited<ReturnType<typeof connect>>;

beforeAll(async () => {
  cluster = await startRedisCluster();
  redis = await connect(cluster.urls);
}, BRING_TIMEOUT_MS);

beforeEach(() => cluster.flushAll());

function openStream(consumer = 'a', urls = cluster.urls, registry = new Registry()): UsageStream {
  const stream = openClusterStream({ urls, consumer, registry, clock: systemClock, log: silent });
  atTestEnd(() => stream.close());
  return stream;
}

async function startWorker(sql: Database['sql'], { consumer = 'a', urls = cluster.urls } = {}) {
  const registry = new Registry();
  const stream = openStream(consumer, urls, registry);
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
  atTestEnd(() => worker.stop());
  return worker;
}

/** A client that follows the slots, as a sidecar's does. */
async function connect(urls: string[]) {
  const client = createCluster({ rootNodes: urls.map((url) => ({ url })) });
  client.on('error', () => {});
  await client.connect();
  atTestEnd(() => client.destroy());
  return client;
}

async function startWriter(urls: string[]) {
  const client = await connect(urls);
  let written = 0;
  return {
    get written() {
      return written;
    },
    /** One event of one token to each of these partitions. */
    async append(partitions = PARTITIONS): Promise<void> {
      const event = () => JSON.stringify(usageEvent({ limits: [billed(1)] }));
      await Promise.all(partitions.map((partition) => client.xAdd(usageStreamKey(partition), '*', { e: event() })));
      written += partitions.length;
    },
  };
}

const add = (partition: number, event: string, id = '*') => redis.xAdd(usageStreamKey(partition), id, { e: event });

/** Each in the ledger and its rollups once. */
async function expectInLedger(sql: Database['sql'], total: number): Promise<void> {
  const check = async () => {
    const [row] = await sql`
      select (select count(*)::int from usage_events) as events, (select count(distinct id)::int from usage_events) as ids,
        (select sum(tokens)::int from usage_rollups) as tokens`;
    expect(row).toEqual({ events: total, ids: total, tokens: total });
  };
  await eventually(check, { timeoutMs: 60_000, intervalMs: 200 });
}

/** Nothing is left in a stream, and nobody holds anything unacknowledged. */
async function expectEmpty({ nodes }: RedisCluster): Promise<void> {
  const keysOf = async (node: RedisServer) =>
    ((await ask(node, ['KEYS', 'ocr:*'])) as string[]).map((key) => ({ node, key }));
  const check = async () => {
    const streams = (await Promise.all(nodes.map(keysOf))).flat();
    expect(streams).toHaveLength(CLUSTER_PARTITIONS);
    const left: unknown[] = [];
    for (const { key, node } of streams) {
      const pending = (await ask(node, ['XPENDING', key, 'ledger'])) as [number];
      const length = await ask(node, ['XLEN', key]);
      if (length !== 0 || pending[0] !== 0) left.push({ key, length, pending: pending[0] });
    }
    expect(left).toEqual([]);
  };
  await eventually(check, { timeoutMs: 60_000, intervalMs: 500 });
}

/** Ids of the workers' connections: what they do last is to read or to acknowledge. */
async function connectionsOf(node: RedisServer): Promise<string[]> {
  const clients = String(await ask(node, ['CLIENT', 'LIST'])).split('\n');
  const own = clients.filter((client) => /cmd=(xreadgroup|xack|xdel|xrange|xautoclaim) /.test(client));
  return own.map((client) => /id=(\d+)/.exec(client)?.[1] as string);
}

describe('the streams of a cluster', () => {
  test('are read together, each entry with the name of its stream, and acknowledged in the one that it came from', async () => {
    for (const partition of PARTITIONS) await add(partition, String(partition), '5-1');
    const stream = openStream();
    // Who does not answer at once is not waited for.
    const read: StreamEntry[] = [];
    await eventually(async () => {
      read.push(...(await stream.read(1_000, 1)));
      expect(read).toHaveLength(CLUSTER_PARTITIONS);
    });
    expect(read.map(({ stream: name }) => name).sort()).toEqual(PARTITIONS.map(usageStreamKey).sort());
    expect(new Set(read.map(({ id }) => id)).size).toBe(CLUSTER_PARTITIONS);
    for (const { event, id, stream: name } of read)
      expect([id, name]).toEqual([`5-1.${event}`, usageStreamKey(Number(event))]);
    await stream.acknowledge(read.filter(({ event }) => event !== '7').map(({ id }) => id));
    const lengths = await Promise.all(PARTITIONS.map((partition) => redis.xLen(usageStreamKey(partition))));
    expect(lengths).toEqual(PARTITIONS.map((partition) => (partition === 7 ? 1 : 0)));
  });

  test('tell together how much is not acknowledged, and the age of the oldest', async () => {
    const [seconds] = (await cluster.send('x', ['TIME'])) as [string];
    const at = (age: number) => JSON.stringify({ at: (Number(seconds) - age) * 1_000 });
    await add(3, at(40));
    await add(9, at(90));
    const stream = openStream();
    const { entries, oldestMs } = await stream.lag();
    expect([entries, Math.round(oldestMs / 10_000)]).toEqual([2, 9]);
    await stream.acknowledge((await stream.read(9, 1)).map(({ id }) => id));
    expect(await stream.lag()).toEqual({ entries: 0, oldestMs: 0 });
  });

  test('give at the next start what was taken before it, told from a first delivery', async () => {
    for (const partition of [1, 2, 3]) await add(partition, `before ${partition}`);
    const before = openStream();
    expect(await before.read(10, 1)).toHaveLength(3);
    await before.close();
    await add(2, 'after');
    const after = openStream();
    const left = await after.reclaim(10, 60_000);
    expect(left.map(({ event }) => event).sort()).toEqual(['before 1', 'before 2', 'before 3']);
    expect(left.map(({ redelivered }) => redelivered)).toEqual([1, 1, 1]);
    expect((await after.read(10, 1)).map(({ event }) => event)).toEqual(['after']);
  });

  test('count what was deleted too early in one counter', async () => {
    const registry = new Registry();
    for (const partition of [1, 2]) await add(partition, 'x');
    const before = openStream();
    expect(await before.read(10, 1)).toHaveLength(2);
    await before.close();
    for (const partition of [1, 2]) await redis.xTrim(usageStreamKey(partition), 'MAXLEN', 0);
    expect(await openStream('a', cluster.urls, registry).reclaim(10, 60_000)).toEqual([]);
    expect((await registry.getSingleMetric(LOST)?.get())?.values).toMatchObject([{ value: 2 }]);
  });

  test('give again what a reader held that was deleted, and keep it until then', async () => {
    const stream = openStream();
    // At its start it looks for what nobody holds.
    expect(await stream.read(10, 1)).toEqual([]);
    for (const partition of [1, 2]) await add(partition, `held ${partition}`);
    const dead = openStream('dead');
    expect(await dead.read(10, 1)).toHaveLength(2);
    await dead.close();
    for (const partition of [1, 2]) await redis.xGroupDelConsumer(usageStreamKey(partition), 'ledger', 'dead');
    await add(2, 'after');
    const after = await stream.read(10, 1);
    await stream.acknowledge(after.map(({ id }) => id));
    expect((await stream.lag()).entries).toBe(2);
    const again = await stream.reclaim(10, 60_000);
    expect(again.map(({ event }) => event).sort()).toEqual(['held 1', 'held 2']);
    await stream.acknowledge(again.map(({ id }) => id));
    expect(await stream.lag()).toEqual({ entries: 0, oldestMs: 0 });
  });

  test('get their groups, are read and emptied without memory', async () => {
    await add(1, '1');
    await add(2, '2');
    const limit = (bytes: string) =>
      Promise.all(cluster.nodes.map((node) => ask(node, ['CONFIG', 'SET', 'maxmemory', bytes])));
    await limit('1');
    try {
      await expect(add(1, '3')).rejects.toThrow('OOM');
      const stream = openStream();
      const read = await stream.read(10, 1);
      expect(read.map(({ event }) => event).sort()).toEqual(['1', '2']);
      expect((await stream.lag()).entries).toBe(2);
      await stream.acknowledge(read.map(({ id }) => id));
      expect(await stream.lag()).toEqual({ entries: 0, oldestMs: 0 });
    } finally {
      await limit('0');
    }
  });

  test('whose groups or keys are gone begin anew at the start', async () => {
    const stream = openStream();
    await stream.read(1, 1);
    await redis.xGroupDestroy(usageStreamKey(1), 'ledger');
    await redis.del(usageStreamKey(2));
    await add(1, '1');
    await add(2, '2');
    expect((await stream.read(10, 1)).map(({ event }) => event).sort()).toEqual(['1', '2']);
    await cluster.flushAll();
    await stream.acknowledge(['1-1.1', '1-1.2']);
    expect(await stream.lag()).toEqual({ entries: 0, oldestMs: 0 });
  });
});

describe('the billing worker on a cluster', () => {
  test('a dead letter names the stream that it came from', async () => {
    const { sql } = await openPostgres();
    await startWorker(sql);
    await add(7, 'poison', '5-1');
    await eventually(async () => {
      expect(await sql`select stream, stream_id, raw from dead_letters`).toEqual([
        { stream: 'ocr:{p7}:usage', stream_id: '5-1.7', raw: 'poison' },
      ]);
    });
    await expectEmpty(cluster);
  });

  test.runIf(fullLength)(
    'ten slots that move under load, with two workers: each event once',
    { timeout: 120_000 },
    async () => {
      const { sql } = await openPostgres();
      await Promise.all(['a', 'b'].map((consumer) => startWorker(sql, { consumer })));
      const writer = await startWriter(cluster.urls);
      let moving = true;
      const writing = (async () => {
        while (moving) await writer.append();
      })();
      for (let partition = 0; partition < 10; partition++) {
        const before = writer.written;
        const key = usageStreamKey(partition);
        const from = await cluster.ownerOf(key);
        const to = cluster.nodes.find((node) => node !== from) as RedisServer;
        await cluster.moveSlot(cluster.slotOf(key), to);
        expect(await cluster.ownerOf(key)).toBe(to);
        await eventually(() => expect(writer.written).toBeGreaterThan(before));
      }
      const [row] = await sql`select count(*)::int as events from usage_events`;
      expect(row?.events).toBeGreaterThan(0);
      moving = false;
      await writing;
      await expectInLedger(sql, writer.written);
      await expectEmpty(cluster);
    },
  );

  test.runIf(fullLength)('a slot that stays half moved is read where its stream is', async () => {
    const { sql } = await openPostgres();
    await startWorker(sql);
    const writer = await startWriter(cluster.urls);
    await writer.append([11]);
    await expectInLedger(sql, writer.written);
    const [key, slot] = [usageStreamKey(11), cluster.slotOf(usageStreamKey(11))];
    const from = await cluster.ownerOf(key);
    const to = cluster.nodes.find((node) => node !== from) as RedisServer;
    await cluster.beginMove(slot, to);
    await writer.append([11, 11]);
    await expectInLedger(sql, writer.written);
    await cluster.moveKeys(slot, to, 10);
    await writer.append([11, 11]);
    await expectInLedger(sql, writer.written);
    const moved = async () => expect(await ask(to, ['ASKING'], ['XLEN', key])).toBe(0);
    await eventually(moved);
    await cluster.finishMove(slot, to);
    await writer.append([11]);
    await expectInLedger(sql, writer.written);
    await expectEmpty(cluster);
  });

  test('connections that break again and again', { timeout: 120_000 }, async () => {
    const { sql } = await openPostgres();
    await startWorker(sql);
    const writer = await startWriter(cluster.urls);
    let broken = 0;
    for (let round = 0; round < 15; round++) {
      for (let i = 0; i < 10; i++) await writer.append();
      const victim = cluster.nodes[round % 3] as RedisServer;
      const own = await connectionsOf(victim);
      for (const id of own) await ask(victim, ['CLIENT', 'KILL', 'ID', id]);
      broken += own.length;
    }
    expect(broken).toBeGreaterThan(5);
    await expectInLedger(sql, writer.written);
    await expectEmpty(cluster);
  });
});

describe('a cluster of which one master', () => {
  let own: RedisCluster;
  let victim: RedisServer;
  let others: number[];

  beforeAll(async () => {
    own = await startRedisCluster({ args: ['--cluster-require-full-coverage', 'no'] });
    [victim] = own.nodes as [RedisServer];
    const owners = await Promise.all(PARTITIONS.map((partition) => own.ownerOf(usageStreamKey(partition))));
    others = PARTITIONS.filter((partition) => owners[partition] !== victim);
    expect(others.length % CLUSTER_PARTITIONS).toBeGreaterThan(0);
  }, BRING_TIMEOUT_MS);

  async function start() {
    // Who is started anew in a test ends with it.
    await victim.restart();
    await untilWhole(own);
    await own.flushAll();
    return { writer: await startWriter(own.urls), ...(await openPostgres()) };
  }

  test.runIf(fullLength)(
    'is killed and comes back: the others go on, then all is there',
    { timeout: 120_000 },
    async () => {
      const { sql, writer } = await start();
      const { app } = await startWorker(sql, { urls: own.urls });
      for (let i = 0; i < 50; i++) await writer.append();
      await victim.kill();
      for (let i = 0; i < 20; i++) await writer.append(others);
      const partOf = async () => {
        const [row] =
          await sql`select count(*)::int as events from usage_events where stream_id ~ ${`\\.(${others.join('|')})$`}`;
        expect(row).toEqual({ events: 70 * others.length });
      };
      await eventually(partOf, { timeoutMs: 30_000, intervalMs: 200 });
      expect((await app.request('/health')).status).toBe(503);
      expect(await (await app.request('/metrics')).text()).toContain('openclaw_usage_stream_lag_entries Nan');
      await victim.restart();
      await untilWhole(own);
      await eventually(async () => expect((await app.request('/health')).status).toBe(200), { timeoutMs: 30_000 });
      await writer.append();
      await expectInLedger(sql, writer.written);
      await expectEmpty(own);
    },
  );

  test.runIf(fullLength)('is away when the worker starts', { timeout: 120_000 }, async () => {
    const { sql, writer } = await start();
    for (let i = 0; i < 3; i++) await writer.append();
    await victim.kill();
    await startWorker(sql, { urls: own.urls });
    await expectInLedger(sql, 3 * others.length);
    await victim.restart();
    await expectInLedger(sql, writer.written);
    await expectEmpty(own);
  });

  test.runIf(fullLength)('stops answering: the others go on, then all is there', { timeout: 120_000 }, async () => {
    const { sql, writer } = await start();
    const { app } = await startWorker(sql, { urls: own.urls });
    await writer.append();
    await expectInLedger(sql, writer.written);
    const [connection] = await eventually(async () => {
      const found = await connectionsOf(victim);
      expect(found).toHaveLength(1);
      return found;
    });
    await victim.kill('SIGSTOP');
    // Whoever looks after the worker's health asks the node that does not answer, again and again.
    const looking = setInterval(() => void app.request('/health'), 500);
    atTestEnd(() => clearInterval(looking));
    for (let i = 0; i < 20; i++) await writer.append(others);
    await expectInLedger(sql, writer.written);
    await eventually(
      async () => expect(await (await app.request('/health')).json()).toMatchObject({ stream: 'unavailable' }),
      { timeoutMs: 30_000 },
    );
    await victim.kill('SIGCONT');
    await untilWhole(own);
    // The node may be back on another way only: the connection that gave no answer is not waited for.
    await eventually(async () => expect(await ask(victim, ['CLIENT', 'LIST', 'ID', connection as string])).toBe(''));
    await writer.append();
    await expectInLedger(sql, writer.written);
    await expectEmpty(own);
  });
});

test('a cluster that is not there yet, and one with a password', { timeout: 60_000 }, async () => {
  const own = await startRedisCluster();
  await own.sendAll(['CONFIG', 'SET', 'requirepass', 'p@ss']);
  const urls = own.urls.map((url) => url.replace('redis://', 'redis://:p%40ss@'));
  const open = async (some: string[]) => {
    const environment = readEnvironment({ REDIS_CLUSTER_URLS: some.join(',') });
    const stream = (await openUsageStream({ environment, registry: new Registry(), log: silent })) as UsageStream;
    atTestEnd(() => stream.close());
    return stream;
  };
  await expect((await open(own.urls)).read(1, 1)).rejects.toThrow();
  expect(await (await open(urls)).read(1, 1)).toEqual([]);
  await own.stop();
  const stream = await open(urls);
  await expect(stream.read(1, 1)).rejects.toThrow('no node of REDIS_CLUSTER_URLS can be asked');
  await Promise.all(own.nodes.map((node) => node.restart()));
  expect(await eventually(() => stream.read(1, 1), { timeoutMs: 30_000 })).toEqual([]);
});
