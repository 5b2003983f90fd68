import { createHash, randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { createClient, ErrorReply, type RedisClientType } from 'redis';
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { BRING_TIMEOUT_MS } from '../../../test/helpers/bring.ts';
import { eventually } from '../../../test/helpers/eventually.ts';
import { type RedisServer, startRedis } from '../../../test/helpers/redis-server.ts';
import { type FaultProxy, startProxy } from '../../../test/helpers/tcp-proxy.ts';
import { tempDir } from '../../../test/helpers/temp-dir.ts';
import { isRedisAway } from '../breaker.ts';
import { CountersUnavailable } from '../contract.ts';
import { type Connection, connectRedis, type ServerGuard } from './connection.ts';

const TIMEOUT_MS = 250;

const script = (source: string) => ({ name: 'test', source, sha: createHash('sha1').update(source).digest('hex') });

const INCREMENT = script("#!lua\nreturn redis.call('INCR', KEYS[1])");

let redis: RedisServer;
let proxy: FaultProxy;
let admin: RedisClientType;

beforeAll(async () => {
  redis = await startRedis({ args: ['--busy-reply-threshold', '50'] });
}, BRING_TIMEOUT_MS);

beforeEach(async () => {
  proxy = await startProxy({ target: redis });
  admin = await createClient({ url: redis.url }).connect();
  onTestFinished(() => admin.destroy());
  await admin.sendCommand(['REPLICAOF', 'NO', 'ONE']);
  await admin.configSet({ maxmemory: '0', 'min-replicas-to-write': '0' });
  await admin.flushAll();
});

async function connect({ guard, timeoutMs = TIMEOUT_MS, url = proxy.url(redis.url) }: Options = {}) {
  const said: { level: number; msg: string }[] = [];
  const log = pino({ base: null }, { write: (line) => void said.push(JSON.parse(line)) });
  const connection = await connectRedis(url, timeoutMs, log, guard);
  onTestFinished(() => connection.close());
  return { connection, said };
}

interface Options {
  guard?: ServerGuard;
  timeoutMs?: number;
  url?: string;
}

const increment = (connection: Connection) => connection.run(INCREMENT, ['n'], []);

const failure = async (call: Promise<unknown>) => {
  const error = await call.then(
    (value) => new Error(`gave ${value}`),
    (thrown: Error) => thrown,
  );
  expect(error).toBeInstanceOf(CountersUnavailable);
  return error as CountersUnavailable;
};

describe('what a real server answers is CountersUnavailable, away or not, and so is a ping', () => {
  async function answers(code: string, { away }: { away: boolean }, connection: Connection) {
    for (const call of [() => increment(connection), () => connection.ping()]) {
      const error = await failure(call());
      expect(error.cause).toBeInstanceOf(ErrorReply);
      expect(error.message).toMatch(new RegExp(`^Redis: ${code} `));
      expect(isRedisAway(error)).toBe(away);
      await eventually(() => connection.get('n'));
    }
  }

  test('OOM', async () => {
    const { connection } = await connect();
    await admin.configSet('maxmemory', '1');
    await answers('OOM', { away: false }, connection);
    await admin.configSet('maxmemory', '0');
    expect(await increment(connection)).toBe(1);
  });

  test('NOREPLICAS', async () => {
    const { connection } = await connect();
    await admin.configSet('min-replicas-to-write', '1');
    await answers('NOREPLICAS', { away: true }, connection);
    await admin.configSet('min-replicas-to-write', '0');
    expect(await increment(connection)).toBe(1);
  });

  test('READONLY: a new connection each time, for the address may lead to another server by now', async () => {
    const { connection, said } = await connect();
    const connections = async () => Number(/total_connections_received:(\d+)/.exec(await admin.info('stats'))?.[1]);
    await admin.replicaOf('127.0.0.1', 1);
    const before = await connections();
    await answers('READONLY', { away: true }, connection);
    await eventually(async () => expect(await connections()).toBe(before + 2));
    await admin.sendCommand(['REPLICAOF', 'NO', 'ONE']);
    await eventually(() => connection.ping());
    expect(await increment(connection)).toBe(1);
    expect(said).toEqual([]);
  });

  test('BUSY', async () => {
    const { connection } = await connect();
    const endless = createClient({ url: redis.url }).on('error', () => undefined);
    await endless.connect();
    const ended = endless.sendCommand(['EVAL', 'while true do end', '0']).catch((error: Error) => error.message);
    await eventually(async () => expect((await failure(increment(connection))).message).toMatch(/^Redis: BUSY /));
    expect(isRedisAway(await failure(connection.ping()))).toBe(true);
    await admin.sendCommand(['SCRIPT', 'KILL']);
    expect(await ended).toContain('killed');
    expect(await increment(connection)).toBe(1);
    endless.destroy();
  });

  test('LOADING', { timeout: 60_000 }, async () => {
    // 100 keys of a kilobyte, 20 ms for each: two seconds in which it answers now and then, but nothing else.
    const slow = await startRedis({
      args: ['--key-load-delay', '20000', '--loading-process-events-interval-bytes', '1024'],
    });
    const client = await createClient({ url: slow.url }).connect();
    for (let index = 0; index < 100; index++) await client.set(`key ${index}`, randomBytes(1024).toString('latin1'));
    await client.sendCommand(['BGREWRITEAOF']);
    await eventually(async () => expect(await client.info('persistence')).toMatch(/aof_base_size:1\d{5}/));
    client.destroy();
    const { connection } = await connect({ url: slow.url });
    const restarted = slow.restart();
    const error = await eventually(async () => {
      const loading = await failure(increment(connection));
      expect(loading.message).toMatch(/^Redis: LOADING /);
      return loading;
    });
    expect(isRedisAway(error)).toBe(true);
    await restarted;
    await eventually(() => increment(connection));
  });

  test('MISCONF', async () => {
    const dir = await tempDir('redis');
    const full = await startRedis({ appendonly: false, dir });
    const { connection } = await connect({ url: full.url });
    const client = await createClient({ url: full.url }).connect();
    onTestFinished(() => client.destroy());
    await client.configSet('save', '3600 1');
    await rm(dir, { recursive: true });
    await client.sendCommand(['BGSAVE']);
    await eventually(async () => expect(await client.info('persistence')).toContain('rdb_last_bgsave_status:err'));
    await answers('MISCONF', { away: true }, connection);
    await client.configSet('save', '');
    expect(await increment(connection)).toBe(1);
  });

  test('CLUSTERDOWN', async () => {
    const cluster = await startRedis({ appendonly: false, args: ['--cluster-enabled', 'yes'] });
    const { connection } = await connect({ url: cluster.url });
    const error = await failure(increment(connection));
    expect(error.message).toMatch(/^Redis: CLUSTERDOWN /);
    expect(isRedisAway(error)).toBe(true);
  });

  test('an error of the script', async () => {
    const { connection } = await connect();
    await admin.hSet('n', 'field', '1');
    const error = await failure(increment(connection));
    expect(error.message).toMatch(/WRONGTYPE/);
    expect(isRedisAway(error)).toBe(false);
    await connection.ping();
  });
});

describe('a script that is gone', () => {
  test('is sent along', async () => {
    const { connection } = await connect();
    for (let count = 1; count <= 5; count++) {
      await admin.sendCommand(['SCRIPT', 'FLUSH']);
      expect(await increment(connection)).toBe(count);
    }
  });

  test('but not once its caller has given up: what was refused is not run', async () => {
    const { connection } = await connect();
    await admin.sendCommand(['SCRIPT', 'FLUSH']);
    proxy.hold('toClient');
    expect((await failure(increment(connection))).message).toBe(`Redis: no answer within ${TIMEOUT_MS} ms`);
    proxy.release();
    await eventually(() => connection.get('n'));
    await sleep(100);
    expect(await admin.get('n')).toBeNull();
  });
});

describe('a connection whose other end is gone without a word', { timeout: 60_000 }, () => {
  const LIMIT_MS = TIMEOUT_MS + 2_000;

  async function untilReconnected(connection: Connection, said: { msg: string }[], busy: boolean) {
    proxy.blackhole();
    const start = performance.now();
    await eventually(
      async () => {
        if (busy) await failure(increment(connection));
        expect(said.length).toBeGreaterThan(0);
      },
      { timeoutMs: 20_000, intervalMs: busy ? 100 : 10 },
    );
    const noticed = performance.now() - start;
    proxy.heal();
    await eventually(() => connection.ping(), { timeoutMs: 20_000 });
    return noticed;
  }

  test('is noticed while it is used', async () => {
    const { connection, said } = await connect();
    const noticed = await untilReconnected(connection, said, true);
    expect(said[0]?.msg).toBe('Redis is connected and does not answer; connecting anew');
    expect(noticed).toBeGreaterThan(LIMIT_MS - 100);
    expect(noticed).toBeLessThan(2 * LIMIT_MS);
  });

  test('is noticed while nobody uses it', async () => {
    const { connection, said } = await connect();
    const noticed = await untilReconnected(connection, said, false);
    expect(said[0]?.msg).toBe('Redis cannot be reached; trying on');
    expect(noticed).toBeLessThan(2 * LIMIT_MS);
    expect(said.at(-1)?.msg).toBe('Redis is back');
  });

  test('is noticed when it never came to a greeting', async () => {
    proxy.blackhole();
    const start = performance.now();
    const { connection } = await connect();
    expect(performance.now() - start).toBeLessThan(2 * LIMIT_MS);
    await failure(increment(connection));
    proxy.heal();
    expect(await eventually(() => increment(connection))).toBe(1);
  });

  test('does not hold up the end', async () => {
    const { connection } = await connect();
    proxy.blackhole();
    const lost = failure(increment(connection));
    await sleep(20);
    const start = performance.now();
    await connection.close();
    expect(performance.now() - start).toBeLessThan(2 * TIMEOUT_MS);
    await lost;
  });

  test('a slow server is no such connection', async () => {
    const { connection, said } = await connect({ timeoutMs: 5_000 });
    proxy.delay(1_200);
    for (let count = 1; count <= 3; count++) expect(await increment(connection)).toBe(count);
    expect(said).toEqual([]);
  });
});

describe('the guard', () => {
  const guarded = (check: () => Promise<void>, everyMs = 60_000) => {
    const refused: Error[] = [];
    return { refused, guard: { check, everyMs, refuse: (error: Error) => void refused.push(error) } };
  };

  test('looks before anything else is asked, on each connection', async () => {
    let looks = 0;
    let look = Promise.resolve();
    const { guard } = guarded(() => {
      looks += 1;
      return look;
    });
    const { connection } = await connect({ guard });
    expect(looks).toBe(1);
    let done: () => void = () => undefined;
    look = new Promise((resolve) => {
      done = resolve;
    });
    proxy.reset();
    await eventually(() => expect(looks).toBe(2));
    expect((await failure(increment(connection))).message).toContain('no answer within');
    expect(await admin.get('n')).toBeNull();
    done();
    expect(await eventually(() => increment(connection))).toBe(1);
  });

  test('looks again now and then', async () => {
    let looks = 0;
    const { guard } = guarded(async () => {
      looks += 1;
    }, 20);
    await connect({ guard });
    await eventually(() => expect(looks).toBeGreaterThan(5));
  });

  test('what could not be looked at is looked at again with the next call', async () => {
    let looks = 0;
    const { guard, refused } = guarded(async () => {
      looks += 1;
      if (looks < 3) throw new ErrorReply('BUSY Redis is busy running a script.');
    });
    const { connection } = await connect({ guard });
    expect((await failure(increment(connection))).message).toContain('BUSY');
    expect(await increment(connection)).toBe(1);
    expect(looks).toBe(3);
    expect(refused).toEqual([]);
  });
});
