import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { createClient, type RedisClientType } from 'redis';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { StreamEntry, UsageStream } from '../../schemas/usage-stream.ts';
import { BRING_TIMEOUT_MS } from '../../test/helpers/bring.ts';
import { eventually } from '../../test/helpers/eventually.ts';
import { type RedisServer, startRedis } from '../../test/helpers/redis-server.ts';
import { startProxy } from '../../test/helpers/tcp-proxy.ts';
import { startUpstash, type UpstashServer } from '../../test/helpers/upstash-server.ts';
import { openUpstashStream } from './upstash.ts';

const KEY = 'ocr:{p0}:usage';
const LOST = 'openclaw_usage_stream_lost_entries_total';
const log = pino({ level: 'silent' });

let server: RedisServer;
let upstash: UpstashServer;
let redis: RedisClientType;
let open: UsageStream[];
const registries = new WeakMap<UsageStream, Registry>();

beforeAll(async () => {
  server = await startRedis();
}, BRING_TIMEOUT_MS);

beforeEach(async () => {
  open = [];
  upstash = await startUpstash(server);
  redis = await createClient({ url: server.url }).connect();
  await redis.flushAll();
});

afterEach(async () => {
  await Promise.all(open.map((stream) => stream.close()));
  redis.destroy();
});

function reader(consumer = 'a', url = upstash.url): UsageStream {
  const registry = new Registry();
  const stream = openUpstashStream({ url, token: upstash.token, key: KEY, consumer, registry, log });
  registries.set(stream, registry);
  open.push(stream);
  return stream;
}

const add = (text: string) => redis.xAdd(KEY, '*', { e: text });
const addMany = (count: number) => Promise.all(Array.from({ length: count }, (_, index) => add(String(index))));
const texts = (entries: StreamEntry[]) => entries.map(({ event }) => event);
const ids = (entries: StreamEntry[]) => entries.map(({ id }) => id);
const lost = async (stream: UsageStream) =>
  (await registries.get(stream)?.getSingleMetric(LOST)?.get())?.values[0]?.value;

describe('reading', () => {
  test('begins with the oldest entry, also with those from before there was a group', async () => {
    for (const text of ['1', '2', '3']) await add(text);
    const stream = reader();
    expect(texts(await stream.read(2, 1))).toEqual(['1', '2']);
    expect(texts(await stream.read(2, 1))).toEqual(['3']);
  });

  test('waits for the first entry, and answers with none when there is none', async () => {
    const stream = reader();
    expect(await stream.read(10, 20)).toEqual([]);
    const waiting = stream.read(10, 5_000);
    await sleep(200);
    const id = await add('late');
    expect(await waiting).toEqual([{ stream: KEY, id, event: 'late', redelivered: 0 }]);
  });

  test('asks once a second where nothing happens, and soon again where something does', async () => {
    const stream = reader();
    for (let waited = 0; waited < 2; waited++) await stream.read(10, 1_000);
    const before = upstash.requests;
    for (let waited = 0; waited < 3; waited++) await stream.read(10, 1_000);
    expect(upstash.requests - before).toBe(3);
    await add('1');
    expect(texts(await stream.read(10, 1_000))).toEqual(['1']);
    const waiting = stream.read(10, 1_000);
    await sleep(60);
    await add('2');
    const since = performance.now();
    expect(texts(await waiting)).toEqual(['2']);
    expect(performance.now() - since).toBeLessThan(500);
  });

  test('an entry without the field e comes with no event, whatever its other fields hold', async () => {
    await redis.xAdd(KEY, '*', { other: 'e', f: 'x' });
    expect(texts(await reader().read(1, 1))).toEqual([undefined]);
  });

  test('gives each entry to one reader', async () => {
    const [a, b] = [reader('a'), reader('b')];
    await addMany(100);
    const taken = (await Promise.all([a.read(30, 1), b.read(30, 1), a.read(30, 1), b.read(30, 1)])).flat();
    expect(new Set(ids(taken)).size).toBe(100);
  });

  test('a read that waits ends with the stream’s closing', async () => {
    const stream = reader();
    await stream.read(1, 1);
    const waiting = expect(stream.read(1, 60_000)).rejects.toThrow();
    await sleep(20);
    await stream.close();
    await waiting;
  });
});

describe('what was taken and not acknowledged', () => {
  test('is found at once by the same reader after a restart, in order, and told from a first delivery', async () => {
    for (const text of ['1', '2', '3', '4', '5']) await add(text);
    const before = reader('a');
    const taken = await before.read(4, 1);
    await before.acknowledge([taken[1]?.id as string]);
    const after = reader('a');
    const left = [...(await after.reclaim(2, 60_000)), ...(await after.reclaim(2, 60_000))];
    expect(texts(left)).toEqual(['1', '3', '4']);
    expect(left.map(({ redelivered }) => redelivered)).toEqual([1, 1, 1]);
    expect(await after.reclaim(2, 60_000)).toEqual([]);
    expect(texts(await after.read(10, 1))).toEqual(['5']);
  });

  test('is found by another reader once it is idle, and not before', async () => {
    for (const text of ['1', '2', '3']) await add(text);
    await reader('dead').read(3, 1);
    const other = reader('b');
    expect(await other.reclaim(10, 60_000)).toEqual([]);
    await sleep(60);
    const claimed = await other.reclaim(10, 50);
    expect(texts(claimed)).toEqual(['1', '2', '3']);
    expect(claimed[0]?.redelivered).toBe(1);
  });

  test('is found again by the same reader when the answer was lost on the way', async () => {
    const proxy = await startProxy({ target: { host: upstash.host, port: upstash.port } });
    const stream = reader('a', proxy.url(upstash.url));
    await stream.reclaim(10, 60_000);
    await add('1');
    proxy.hold('toClient');
    const broken = expect(stream.read(10, 1_000)).rejects.toThrow();
    await eventually(async () => expect((await redis.xPending(KEY, 'ledger')).pending).toBe(1));
    proxy.reset();
    await broken;
    proxy.heal();
    expect(texts(await stream.reclaim(10, 60_000))).toEqual(['1']);
  });

  test('and is deleted all the same is counted as lost and holds nothing up, its own or another reader’s', async () => {
    for (const text of ['1', '2', '3', '4']) await add(text);
    await reader('a').read(2, 1);
    await reader('dead').read(2, 1);
    await redis.xTrim(KEY, 'MAXLEN', 1);
    const stream = reader('a');
    expect(await stream.reclaim(10, 60_000)).toEqual([]);
    expect(await lost(stream)).toBe(3);
    await sleep(30);
    const rest = await stream.reclaim(10, 20);
    expect(texts(rest)).toEqual(['4']);
    expect(await lost(stream)).toBe(3);
    await stream.acknowledge(ids(rest));
    expect(await redis.xLen(KEY)).toBe(0);
    expect((await redis.xPending(KEY, 'ledger')).pending).toBe(0);
  });

  test('is never more than Upstash lets a reader hold, and comes again when that is reached', async () => {
    await addMany(1_200);
    const stream = reader();
    const thrice = async (take: () => Promise<StreamEntry[]>) => [
      ...(await take()),
      ...(await take()),
      ...(await take()),
    ];
    const taken = await thrice(() => stream.read(1_000, 1));
    expect(taken).toHaveLength(900);
    await expect(stream.read(1_000, 1)).rejects.toThrow(/Pending Entries List limit/);
    const again = await thrice(() => stream.reclaim(1_000, 60_000));
    expect(ids(again)).toEqual(ids(taken));
    await stream.acknowledge(ids(again));
    expect(await stream.read(1_000, 1)).toHaveLength(300);
  });
});

describe('acknowledging', () => {
  test('deletes from the stream what is acknowledged, and nothing else', async () => {
    const [a, b] = [reader('a'), reader('b')];
    for (let i = 1; i <= 6; i++) await add(String(i));
    const first = await a.read(2, 1);
    const second = await b.read(2, 1);
    await b.acknowledge(ids(second));
    expect(texts(await a.reclaim(9, 60_000))).toEqual(['1', '2']);
    expect(await redis.xLen(KEY)).toBe(4);
    await a.acknowledge(ids(first));
    expect(await redis.xLen(KEY)).toBe(2);
    expect(texts(await a.read(9, 1))).toEqual(['5', '6']);
  });

  test('never deletes what nobody has read, whatever two readers do at once', async () => {
    const readers = [reader('a'), reader('b')];
    const total = 3_000;
    const seen: string[] = [];
    const writing = (async () => {
      for (let i = 0; i < total; i += 50) await Promise.all(Array.from({ length: 50 }, (_, j) => add(String(i + j))));
    })();
    const carry = async (stream: UsageStream) => {
      while (seen.length < total) {
        const entries = await stream.read(17, 5);
        seen.push(...texts(entries).map(String));
        if (entries.length) await stream.acknowledge(ids(entries));
      }
    };
    await Promise.all([writing, ...readers.map(carry)]);
    expect(new Set(seen).size).toBe(total);
    expect(await redis.xLen(KEY)).toBe(0);
  });

  test('is one request, and asking for the lag is two', async () => {
    await addMany(10);
    const stream = reader();
    const taken = await stream.read(5, 1);
    const cost = async (step: () => Promise<unknown>) => {
      const before = upstash.requests;
      await step();
      return upstash.requests - before;
    };
    expect(await cost(() => stream.acknowledge(ids(taken)))).toBe(1);
    expect(await cost(() => stream.lag())).toBe(2);
  });
});

describe('what was delivered and is held by nobody', () => {
  test('because its reader was deleted is kept, counted in the lag, and taken again at once', async () => {
    for (const text of ['1', '2', '3', '4', '5']) await add(text);
    await reader('dead').read(2, 1);
    const stream = reader('a');
    const own = await stream.read(2, 1);
    expect(await redis.xGroupDelConsumer(KEY, 'ledger', 'dead')).toBe(2);
    await stream.acknowledge(ids(own));
    expect(await redis.xLen(KEY)).toBe(3);
    expect((await stream.lag()).entries).toBe(3);
    const again = await stream.reclaim(10, 60_000);
    expect(texts(again)).toEqual(['1', '2']);
    expect(again.every(({ redelivered }) => redelivered > 0)).toBe(true);
    expect(texts(await reader('b').reclaim(10, 60_000))).toEqual([]);
    await stream.acknowledge(ids(again));
    expect(texts(await stream.read(10, 1))).toEqual(['5']);
    expect(await lost(stream)).toBe(0);
  });
});

test('the lag counts what is undelivered and unacknowledged, and tells the age of the oldest by its own time', async () => {
  const stream = reader();
  expect(await stream.lag()).toEqual({ entries: 0, oldestMs: 0 });
  const now = Number((await redis.time())[0]) * 1000;
  for (const age of [90, 60, 30]) await add(JSON.stringify({ at: now - age * 1000 }));
  const age = async () => {
    const { entries, oldestMs } = await stream.lag();
    return { entries, seconds: Math.round(oldestMs / 10_000) * 10 };
  };
  expect(await age()).toEqual({ entries: 3, seconds: 90 });
  const [oldest] = await stream.read(1, 1);
  expect(await age()).toEqual({ entries: 3, seconds: 90 });
  await stream.acknowledge([oldest?.id as string]);
  expect(await age()).toEqual({ entries: 2, seconds: 60 });
  await stream.acknowledge(ids(await stream.read(9, 1)));
  expect(await age()).toEqual({ entries: 0, seconds: 0 });
});

describe('faults', () => {
  test('a group that is gone begins anew at the start, with all that is still in the stream', async () => {
    const stream = reader();
    for (const text of ['1', '2', '3']) await add(text);
    await stream.read(2, 1);
    await redis.xGroupDestroy(KEY, 'ledger');
    expect(texts(await stream.read(10, 1))).toEqual(['1', '2', '3']);
  });

  test('a stream that is gone is made anew, and acknowledging what was in it is no error', async () => {
    const stream = reader();
    await add('1');
    const taken = await stream.read(1, 1);
    await redis.flushAll();
    await stream.acknowledge(ids(taken));
    await add('2');
    expect(texts(await stream.read(10, 1))).toEqual(['2']);
  });

  test('a server that is away, or does not let us in, is an error each time, and the stream goes on by itself', async () => {
    const stream = reader();
    await add('1');
    await upstash.stop();
    await expect(stream.read(1, 10)).rejects.toThrow();
    await expect(stream.acknowledge(['1-1'])).rejects.toThrow();
    await expect(stream.lag()).rejects.toThrow();
    await upstash.listen();
    expect(texts(await stream.read(10, 1))).toEqual(['1']);
    const { key, token } = { key: KEY, token: 'wrong' };
    const refused = openUpstashStream({ url: upstash.url, token, key, consumer: 'x', registry: new Registry(), log });
    await expect(refused.read(1, 1)).rejects.toThrow(/^WRONGPASS invalid or missing auth token$/);
  });

  test('a server that does not answer is given up within seconds', { timeout: 60_000 }, async () => {
    const proxy = await startProxy({ target: { host: upstash.host, port: upstash.port } });
    const stream = reader('a', proxy.url(upstash.url));
    await stream.read(1, 1);
    proxy.blackhole();
    const began = performance.now();
    await expect(stream.read(1, 1_000)).rejects.toThrow();
    expect(performance.now() - began).toBeLessThan(12_000);
    proxy.heal();
    expect(await eventually(() => stream.read(1, 1))).toEqual([]);
  });
});
