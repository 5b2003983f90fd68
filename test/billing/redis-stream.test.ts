import { Registry } from 'prom-client';
import { createClient, type RedisClientType } from 'redis';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openRedisStream } from '../../billing-worker/stream/redis.ts';
import type { StreamEntry, UsageStream } from '../../schemas/usage-stream.ts';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { silent } from './databases.ts';
import { usageEvent } from './events.ts';

const KEY = 'ocr:{p0}:usage';
const LOST = 'openclaw_usage_stream_lost_entries_total';

let server: RedisServer;
let redis: RedisClientType;
let open: UsageStream[];
const registries = new WeakMap<UsageStream, Registry>();

beforeAll(async () => {
  server = await startRedis();
});

beforeEach(async () => {
  open = [];
  redis = createClient({ url: server.url });
  redis.on('error', () => {});
  await redis.connect();
  await redis.flushAll();
});

afterEach(async () => {
  await Promise.all(open.map((stream) => stream.close()));
  redis.destroy();
});

async function reader(consumer = 'a', { url } = server): Promise<UsageStream> {
  const registry = new Registry();
  const stream = await openRedisStream({ url, key: KEY, consumer, registry, log: silent });
  registries.set(stream, registry);
  open.push(stream);
  return stream;
}

const add = (text: string) => redis.xAdd(KEY, '*', { e: text });
const texts = (entries: StreamEntry[]) => entries.map(({ event }) => event);
const ids = (entries: StreamEntry[]) => entries.map(({ id }) => id);
const lost = async (stream: UsageStream) =>
  (await registries.get(stream)?.getSingleMetric(LOST)?.get())?.values[0]?.value;

describe('reading', () => {
  test('begins with the oldest entry, also with those from before there was a group', async () => {
    for (const text of ['1', '2', '3']) await add(text);
    const stream = await reader();
    expect(texts(await stream.read(2, 1))).toEqual(['1', '2']);
    expect(texts(await stream.read(2, 1))).toEqual(['3']);
  });

  test('waits for the first entry, and answers with none when there is none', async () => {
    const stream = await reader();
    expect(await stream.read(10, 20)).toEqual([]);
    const waiting = stream.read(10, 5_000);
    await eventually(async () => expect(await waitingReaders()).toHaveLength(1));
    const id = await add('late');
    expect(await waiting).toEqual([{ stream: KEY, id, event: 'late', redelivered: 0 }]);
  });

  test('an entry without the field e comes with no event, whatever its other fields hold', async () => {
    await redis.xAdd(KEY, '*', { other: 'e', f: 'x' });
    expect(texts(await (await reader()).read(1, 1))).toEqual([undefined]);
  });

  test('gives each entry to one reader', async () => {
    const [a, b] = [await reader('a'), await reader('b')];
    for (let i = 0; i < 100; i++) await add(String(i));
    const taken = (await Promise.all([a.read(30, 1), b.read(30, 1), a.read(30, 1), b.read(30, 1)])).flat();
    expect(new Set(ids(taken)).size).toBe(100);
  });
});

describe('what was taken and not acknowledged', () => {
  test('is found at once by the same reader after a restart, in order, and told from a first delivery', async () => {
    for (const text of ['1', '2', '3', '4', '5']) await add(text);
    const before = await reader('a');
    const taken = await before.read(4, 1);
    await before.acknowledge([taken[1]?.id as string]);
    const after = await reader('a');
    const left = [...(await after.reclaim(2, 60_000)), ...(await after.reclaim(2, 60_000))];
    expect(texts(left)).toEqual(['1', '3', '4']);
    expect(left.map(({ redelivered }) => redelivered)).toEqual([1, 1, 1]);
    expect(await after.reclaim(2, 60_000)).toEqual([]);
    expect(texts(await after.read(10, 1))).toEqual(['5']);
  });

  test('is found by another reader once it is idle, and not before', async () => {
    for (const text of ['1', '2', '3']) await add(text);
    await (await reader('dead')).read(3, 1);
    const other = await reader('b');
    expect(await other.reclaim(10, 60_000)).toEqual([]);
    const claimed = await eventually(async () => {
      const found = await other.reclaim(10, 50);
      expect(found).toHaveLength(3);
      return found;
    });
    expect(texts(claimed)).toEqual(['1', '2', '3']);
    expect(claimed[0]?.redelivered).toBe(1);
  });

  test('is found again by the same reader when the answer was lost on the way', async () => {
    const stream = await reader('a');
    await stream.reclaim(10, 60_000);
    await add('1');
    // As after a broken connection: the server has delivered, nobody has received.
    await redis.xReadGroup('ledger', 'a', { key: KEY, id: '>' }, { COUNT: 10 });
    expect(await stream.read(10, 1)).toEqual([]);
    const broken = expect(stream.read(10, 5_000)).rejects.toThrow();
    const [waiting] = await eventually(async () => {
      const found = await waitingReaders();
      expect(found).toHaveLength(1);
      return found;
    });
    await redis.clientKill({ filter: 'ID', id: waiting?.id as number });
    await broken;
    expect(texts(await eventually(() => stream.reclaim(10, 60_000)))).toEqual(['1']);
  });

  test('is found again at once when it could not be told how often it was delivered', async () => {
    for (const text of ['1', '2']) await add(text);
    await (await reader('a')).read(2, 1);
    const stream = await reader('a');
    await redis.aclSetUser('default', '-xpending');
    try {
      await expect(stream.reclaim(10, 60_000)).rejects.toThrow('NOPERM');
    } finally {
      await redis.aclSetUser('default', '+xpending');
    }
    expect(texts(await stream.reclaim(10, 60_000))).toEqual(['1', '2']);
  });

  test('and is deleted all the same is counted as lost and holds nothing up, its own or another reader', async () => {
    for (const text of ['1', '2', '3', '4']) await add(text);
    await (await reader('a')).read(2, 1);
    await (await reader('dead')).read(2, 1);
    await redis.xTrim(KEY, 'MAXLEN', 1);
    const stream = await reader('a');
    expect(await stream.reclaim(10, 60_000)).toEqual([]);
    expect(await lost(stream)).toBe(3);
    const rest = await eventually(async () => {
      const found = await stream.reclaim(10, 20);
      expect(found).toHaveLength(1);
      return found;
    });
    expect(texts(rest)).toEqual(['4']);
    expect(await lost(stream)).toBe(3);
    await stream.acknowledge(ids(rest));
    expect(await redis.xLen(KEY)).toBe(0);
    expect((await redis.xPending(KEY, 'ledger')).pending).toBe(0);
  });
});

describe('acknowledging', () => {
  test('deletes from the stream what is acknowledged, and nothing else', async () => {
    const [a, b] = [await reader('a'), await reader('b')];
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
    const readers = [await reader('a'), await reader('b')];
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
});

describe('what was delivered and is held by nobody', () => {
  test('because its reader was deleted is kept, counted in the lag, and taken again at once', async () => {
    for (const text of ['1', '2', '3', '4', '5']) await add(text);
    await (await reader('dead')).read(2, 1);
    const stream = await reader('a');
    const own = await stream.read(2, 1);
    expect(await redis.xGroupDelConsumer(KEY, 'ledger', 'dead')).toBe(2);
    await stream.acknowledge(ids(own));
    expect(await redis.xLen(KEY)).toBe(3);
    expect((await stream.lag()).entries).toBe(3);
    const again = await stream.reclaim(10, 60_000);
    expect(texts(again)).toEqual(['1', '2']);
    expect(again.every(({ redelivered }) => redelivered > 0)).toBe(true);
    expect(texts(await (await reader('b')).reclaim(10, 60_000))).toEqual([]);
    await stream.acknowledge(ids(again));
    expect(texts(await stream.read(10, 1))).toEqual(['5']);
    expect(await lost(stream)).toBe(0);
  });

  test('is taken once what is older is done, and never what another reader holds', async () => {
    for (const text of ['1', '2', '3']) await add(text);
    const older = await (await reader('older')).read(1, 1);
    await (await reader('dead')).read(1, 1);
    await (await reader('younger')).read(1, 1);
    await redis.xGroupDelConsumer(KEY, 'ledger', 'dead');
    const stream = await reader('a');
    expect(await stream.reclaim(10, 60_000)).toEqual([]);
    await stream.acknowledge(ids(older));
    expect(texts(await stream.reclaim(10, 60_000))).toEqual(['2']);
    expect(await stream.reclaim(10, 60_000)).toEqual([]);
  });

  test('because the group was set beyond it is taken, batch by batch', async () => {
    const stream = await reader();
    expect(await stream.read(1, 1)).toEqual([]);
    for (const text of ['1', '2', '3']) await add(text);
    await redis.xGroupSetId(KEY, 'ledger', '$');
    await add('4');
    expect(texts(await stream.read(9, 1))).toEqual(['4']);
    expect(texts(await stream.reclaim(2, 60_000))).toEqual(['4']);
    const again = await stream.reclaim(2, 60_000);
    expect(texts(again)).toEqual(['1', '2']);
    expect(await stream.reclaim(2, 60_000)).toEqual([]);
    await stream.acknowledge(ids(again));
    expect(texts(await stream.reclaim(2, 60_000))).toEqual(['3']);
  });
});

describe('the lag', () => {
  test('counts what is undelivered and what is unacknowledged, and tells the age of the oldest by its own time', async () => {
    const stream = await reader();
    expect(await stream.lag()).toEqual({ entries: 0, oldestMs: 0 });
    const [seconds] = await redis.time();
    for (const age of [90, 60, 30]) await add(JSON.stringify(usageEvent({ at: Number(seconds) * 1000 - age * 1000 })));
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
    await add('unreadable');
    await add(JSON.stringify(usageEvent({ at: Number(seconds) * 1000 - 40_000 })));
    expect(await age()).toEqual({ entries: 2, seconds: 40 });
  });

  test('says too much rather than too little once entries were deleted by hand', async () => {
    const stream = await reader();
    const added = await Promise.all(['1', '2', '3', '4'].map(add));
    await stream.read(1, 1);
    await redis.xDel(KEY, added[2] as string);
    expect((await stream.lag()).entries).toBeGreaterThanOrEqual(3);
  });
});

describe('faults', () => {
  test('a group that is gone begins anew at the start, with all that is still in the stream', async () => {
    const stream = await reader();
    for (const text of ['1', '2', '3']) await add(text);
    await stream.read(2, 1);
    await redis.xGroupDestroy(KEY, 'ledger');
    expect(texts(await stream.read(10, 1))).toEqual(['1', '2', '3']);
  });

  test('a server without memory gets its group all the same, and what is read makes room', async () => {
    for (const text of ['1', '2']) await add(text);
    await redis.configSet('maxmemory', '1');
    try {
      await expect(add('3')).rejects.toThrow('OOM');
      const stream = await reader();
      const taken = await stream.read(10, 1);
      expect(texts(taken)).toEqual(['1', '2']);
      await stream.acknowledge(ids(taken));
      expect(await redis.xLen(KEY)).toBe(0);
    } finally {
      await redis.configSet('maxmemory', '0');
    }
  });

  test('a group that may not be made is an error of the lag too, until it may', async () => {
    await add('1');
    const stream = await reader();
    await redis.aclSetUser('default', '-eval');
    try {
      await expect(stream.read(1, 1)).rejects.toThrow('NOPERM');
      await expect(stream.lag()).rejects.toThrow('NOPERM');
    } finally {
      await redis.aclSetUser('default', '+eval');
    }
    expect((await stream.lag()).entries).toBe(1);
    expect(texts(await stream.read(1, 1))).toEqual(['1']);
  });

  test('a stream that is gone is made anew, and acknowledging what was in it is no error', async () => {
    const stream = await reader();
    await add('1');
    const taken = await stream.read(1, 1);
    await redis.flushAll();
    await stream.acknowledge(ids(taken));
    await add('2');
    expect(texts(await stream.read(10, 1))).toEqual(['2']);
  });

  test('a server that is killed loses nothing that was appended, and the stream goes on by itself', async () => {
    const own = await startRedis();
    const stream = await reader('a', own);
    await stream.reclaim(10, 60_000);
    const writer = await createClient({ url: own.url }).connect();
    for (const text of ['1', '2', '3']) await writer.xAdd(KEY, '*', { e: text });
    writer.destroy();
    const taken = await stream.read(2, 1);
    await own.kill();
    await expect(stream.read(1, 10)).rejects.toThrow();
    await expect(stream.acknowledge(ids(taken))).rejects.toThrow();
    await expect(stream.lag()).rejects.toThrow();
    await own.restart();
    const again = await eventually(() => stream.reclaim(10, 60_000));
    expect(texts(again)).toEqual(['1', '2']);
    expect(texts(await stream.read(10, 1))).toEqual(['3']);
  });

  test('a server that is not there yet does not keep the stream from opening', async () => {
    const late = await startRedis();
    await late.stop();
    const stream = await reader('a', late);
    await expect(stream.read(1, 1)).rejects.toThrow();
    await late.restart();
    expect(await eventually(() => stream.read(1, 1))).toEqual([]);
  });

  test.runIf(fullLength)('a server that stops answering is given up within seconds', async () => {
    const frozen = await startRedis();
    const stream = await reader('a', frozen);
    await stream.read(1, 1);
    await frozen.kill('SIGSTOP');
    const began = performance.now();
    await expect(stream.read(1, 1_000)).rejects.toThrow();
    expect(performance.now() - began).toBeLessThan(12_000);
    await frozen.kill('SIGCONT');
    expect(await eventually(() => stream.read(1, 1))).toEqual([]);
  });
});

/** The connections that wait for an entry. */
const waitingReaders = async () => (await redis.clientList()).filter(({ cmd }) => cmd.startsWith('xreadgroup'));
