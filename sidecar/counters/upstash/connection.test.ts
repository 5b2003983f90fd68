import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { createClient, ErrorReply, type RedisClientType } from 'redis';
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { BRING_TIMEOUT_MS } from '../../../test/helpers/bring.ts';
import { eventually } from '../../../test/helpers/eventually.ts';
import { type RedisServer, startRedis } from '../../../test/helpers/redis-server.ts';
import { type FaultProxy, startProxy } from '../../../test/helpers/tcp-proxy.ts';
import { startUpstash, type UpstashServer } from '../../../test/helpers/upstash-server.ts';
import { isRedisAway } from '../breaker.ts';
import { CountersUnavailable } from '../contract.ts';
import type { Connection } from '../redis/connection.ts';
import { connectUpstash, type UpstashOptions } from './connection.ts';

const TIMEOUT_MS = 250;
const TOKEN = 'AXsecret-token';

const script = (source: string) => ({ name: 'test', source, sha: createHash('sha1').update(source).digest('hex') });

const INCREMENT = script("#!lua\nreturn redis.call('INCR', KEYS[1])");
const LATE = 2 * TIMEOUT_MS;

let redis: RedisServer;
let upstash: UpstashServer;
let proxy: FaultProxy;
let admin: RedisClientType;

beforeAll(async () => {
  redis = await startRedis();
}, BRING_TIMEOUT_MS);

beforeEach(async () => {
  upstash = await startUpstash(redis, TOKEN);
  proxy = await startProxy({ target: { host: upstash.host, port: upstash.port } });
  admin = await createClient({ url: redis.url }).connect();
  onTestFinished(() => admin.destroy());
  await admin.configSet('maxmemory', '0');
  await admin.flushAll();
});

async function connect(given: Partial<UpstashOptions> = {}) {
  const said: string[] = [];
  const log = pino({ base: null }, { write: (line) => void said.push(line) });
  const url = proxy.url(upstash.url);
  const connection = await connectUpstash({ url, token: TOKEN, timeoutMs: TIMEOUT_MS, log, ...given });
  return { connection, said };
}

const increment = (connection: Connection) => connection.run(INCREMENT, ['n'], []);

/** That it fails as it should, within the limit. */
async function failure(call: Promise<unknown>): Promise<CountersUnavailable> {
  const start = performance.now();
  const error = await call.then(
    (value) => new Error(`gave ${value}`),
    (thrown: Error) => thrown,
  );
  expect(performance.now() - start).toBeLessThan(LATE);
  expect(error).toBeInstanceOf(CountersUnavailable);
  return error as CountersUnavailable;
}

describe('a server that', () => {
  test('is away is away at once, and is asked again', async () => {
    const { connection } = await connect();
    expect(await increment(connection)).toBe(1);
    await upstash.stop();
    for (const call of [() => increment(connection), () => connection.get('n'), () => connection.ping()]) {
      expect(isRedisAway(await failure(call()))).toBe(true);
    }
    await upstash.listen();
    expect(await increment(connection)).toBe(2);
  });

  test('was never there does not keep the process from starting', async () => {
    await upstash.stop();
    const { connection, said } = await connect({ guard: { check: (ask) => ask(['PING']) as never, refuse: () => {} } });
    expect(said.join()).toContain('Upstash cannot be reached; trying on');
    expect((await failure(increment(connection))).message).toMatch(/^Upstash: (read ECONNRESET|other side closed)$/);
    await upstash.listen();
    expect(await increment(connection)).toBe(1);
  });

  test('is slow is given up at the limit', async () => {
    const { connection } = await connect();
    await increment(connection);
    proxy.delay(TIMEOUT_MS);
    const error = await failure(increment(connection));
    expect(error.message).toBe(`Upstash: no answer within ${TIMEOUT_MS} ms`);
    expect(isRedisAway(error)).toBe(true);
    proxy.heal();
    await eventually(() => connection.ping());
  });

  test('swallows everything is given up at the limit, and reached again by a new connection', async () => {
    const { connection } = await connect();
    await increment(connection);
    proxy.blackhole();
    await failure(increment(connection));
    await failure(connection.get('n'));
    proxy.heal();
    expect(await eventually(() => increment(connection))).toBe(2);
  });

  test.each(['<html>Bad Gateway</html>', '{"message":"Bad Gateway"}'])(
    'is a gateway in its place is away: %s',
    async (answer) => {
      const gateway = createServer((_, response) => response.writeHead(502).end(answer));
      gateway.listen(0, '127.0.0.1');
      await once(gateway, 'listening');
      onTestFinished(() => void gateway.close());
      const { connection } = await connect({ url: `http://127.0.0.1:${(gateway.address() as AddressInfo).port}` });
      expect(isRedisAway(await failure(increment(connection)))).toBe(true);
    },
  );
});

describe('an answer that is an error', () => {
  test.each([
    ['of the script', () => admin.hSet('n', 'field', '1'), /^Upstash: .*WRONGTYPE/],
    ['of a server without memory', () => admin.configSet('maxmemory', '1'), /^Upstash: OOM /],
  ])('%s is told, and the server is not away', async (_, cause, message) => {
    const { connection } = await connect();
    await cause();
    const error = await failure(connection.run(INCREMENT, ['n'], ['acme’s secret']));
    expect(error.message).toMatch(message);
    expect(error.cause).toBeInstanceOf(ErrorReply);
    expect(isRedisAway(error)).toBe(false);
  });

  test('does not hold the command, which says whose it was', async () => {
    const { connection } = await connect();
    await admin.hSet('n', 'field', '1');
    const error = await failure(connection.run(INCREMENT, ['n'], ['acme’s secret']));
    expect(JSON.stringify([error.message, error.stack, String(error.cause)])).not.toContain('acme');
  });
});

describe('a call is sent once', () => {
  test('also when its connection breaks before the answer: it may have been executed', async () => {
    const { connection } = await connect();
    await increment(connection);
    const before = upstash.requests;
    proxy.hold('toClient');
    const lost = failure(increment(connection));
    await eventually(async () => expect(await admin.get('n')).toBe('2'), { intervalMs: 5 });
    proxy.reset();
    await lost;
    proxy.heal();
    await sleep(2 * TIMEOUT_MS);
    expect(upstash.requests - before).toBe(1);
    expect(await admin.get('n')).toBe('2');
  });

  test('also when it is not answered', async () => {
    const { connection } = await connect();
    await increment(connection);
    const before = upstash.requests;
    proxy.hold('toClient');
    await failure(increment(connection));
    proxy.heal();
    await sleep(2 * TIMEOUT_MS);
    expect(upstash.requests - before).toBe(1);
    expect(await admin.get('n')).toBe('2');
  });

  test('over a connection that is kept', async () => {
    const { connection } = await connect();
    for (let count = 1; count <= 20; count++) expect(await increment(connection)).toBe(count);
    expect(upstash.connections).toBeLessThanOrEqual(2);
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
    await increment(connection);
    await admin.sendCommand(['SCRIPT', 'FLUSH']);
    proxy.hold('toClient');
    await failure(increment(connection));
    proxy.release();
    await sleep(TIMEOUT_MS);
    expect(await admin.get('n')).toBe('1');
  });
});

test('a token that is wrong is said, and not repeated', async () => {
  const wrong = 'AXwrong-token';
  const { connection, said } = await connect({ token: wrong });
  const error = await failure(increment(connection));
  expect(error.message).toBe('Upstash: WRONGPASS invalid or missing auth token');
  await upstash.stop();
  await failure(increment(connection));
  expect(JSON.stringify([said, error.stack, String(error.cause)])).not.toContain(wrong);
});
