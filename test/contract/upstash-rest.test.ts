import { createHash } from 'node:crypto';
import { Redis } from '@upstash/redis';
import { createClient, type RedisClientType } from 'redis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { upstashClient } from '../../sidecar/counters/upstash/client.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { startUpstash, type UpstashServer } from '../helpers/upstash-server.ts';

/**
 * Upstash's REST API as documented, on the server that the other tests use in its place. What the client of the product
 * and the one of Upstash with its own defaults make of it is held against what Redis itself answers.
 */
let upstash: UpstashServer;
let redis: RedisClientType;

beforeAll(async () => {
  const server = await startRedis({});
  redis = await createClient({ url: server.url }).connect();
  upstash = await startUpstash(server);
}, BRING_TIMEOUT_MS);

afterAll(() => redis?.destroy());

beforeEach(() => redis.flushAll());

async function post(path: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${upstash.url}${path}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { Authorization: `Bearer ${upstash.token}`, ...headers },
  });
  // biome-ignore lint/suspicious/noExplicitAny: answers have any shape
  const answer = (await response.json()) as any;
  return { status: response.status, type: response.headers.get('content-type'), body: answer };
}

const ok = (result: unknown) => ({ status: 200, type: 'application/json', body: { result } });
const BASE64 = { 'Upstash-Encoding': 'base64' };

describe('a command', () => {
  test('is answered with its result: text, integer, null, nested arrays', async () => {
    expect(await post('/', ['SET', 'foo', 'bar', 'EX', 100])).toEqual(ok('OK'));
    expect(await post('/', ['GET', 'foo'])).toEqual(ok('bar'));
    expect(await post('/', ['GET', 'none'])).toEqual(ok(null));
    expect(await post('/', ['STRLEN', 'foo'])).toEqual(ok(3));
    expect(await post('/', ['EVAL', 'return {1, {"a", false, {}}, "b"}', 0])).toEqual(ok([1, ['a', null, []], 'b']));
  });

  test('may be a script with the flag that only Upstash knows; it is found again by its own SHA-1', async () => {
    const script = '#!lua flags=allow-key-locking\nreturn ARGV[1]';
    const sha1 = createHash('sha1').update(script).digest('hex');
    expect(await post('/', ['EVALSHA', sha1, 0, 'a'])).toMatchObject({ status: 400 });
    expect(await post('/', ['EVAL', script, 0, 'b'])).toEqual(ok('b'));
    expect(await post('/', ['EVALSHA', sha1, 0, 'c'])).toEqual(ok('c'));
  });

  test('that fails is a 400 with the error', async () => {
    const error = "ERR wrong number of arguments for 'get' command";
    expect(await post('/', ['GET'])).toMatchObject({ status: 400, body: { error } });
    expect(await post('/', ['EVALSHA', '0'.repeat(40), 0])).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(/^NOSCRIPT /) },
    });
    expect(await post('/', 'GET foo')).toMatchObject({ status: 400, body: { error: expect.any(String) } });
  });

  test('has its strings in base64 on demand, except for OK; what is not UTF-8 is replaced else', async () => {
    const bytes = Buffer.from([0xff, 0x00, 0x61]);
    await redis.set('bytes', bytes);
    expect(await post('/', ['GET', 'bytes'], BASE64)).toEqual(ok(bytes.toString('base64')));
    expect(await post('/', ['GET', 'bytes'])).toEqual(ok('\ufffd\u0000a'));
    expect(await post('/', ['SET', 'foo', 'bar'], BASE64)).toEqual(ok('OK'));
    expect(await post('/', ['MGET', 'foo', 'none'], BASE64)).toEqual(ok(['YmFy', null]));
  });

  test('without the token is a 401, and nothing is executed', async () => {
    for (const headers of [{ Authorization: 'Bearer wrong' }, { Authorization: '' }]) {
      const { body, status } = await post('/', ['SET', 'foo', 'bar'], headers);
      expect(status).toBe(401);
      expect(body).toEqual({ error: 'WRONGPASS invalid or missing auth token' });
    }
    expect(await redis.get('foo')).toBeNull();
  });

  test('larger than a request may be is refused', async () => {
    const { body, status } = await post('/', ['SET', 'foo', 'x'.repeat(1_048_576)]);
    expect(status).toBe(400);
    expect(body.error).toMatch(/^ERR max request size exceeded/);
  });
});

describe('many commands', () => {
  const commands = [
    ['SET', 'key1', 'valuex'],
    ['INCR', 'key1'],
    ['ZADD', 'myset', 11, 'item1', 22, 'item2'],
  ];

  test.each(['/pipeline', '/multi-exec'])('%s: each has its result or error, in order', async (path) => {
    const error = 'ERR value is not an integer or out of range';
    expect(await post(path, commands)).toMatchObject({ body: [{ result: 'OK' }, { error }, { result: 2 }] });
  });

  test('a transaction with a command that there is not is discarded as a whole', async () => {
    const { body, status } = await post('/multi-exec', [['SET', 'foo', 'bar'], ['NOSUCH']]);
    expect(status).toBe(400);
    expect(body.error).toMatch(/^ERR unknown command/);
    expect(await redis.get('foo')).toBeNull();
  });

  test('a transaction is one step, a pipeline is not', async () => {
    const reads = async (path: string) => {
      const stop = new AbortController();
      const writing = (async () => {
        while (!stop.signal.aborted) await redis.incr('n');
      })();
      const replies = [];
      for (let times = 0; times < 40; times++) replies.push((await post(path, Array(20).fill(['GET', 'n']))).body);
      stop.abort();
      await writing;
      return replies.filter((list) => new Set(list.map(({ result }: { result: string }) => result)).size > 1).length;
    };
    await redis.set('n', 0);
    expect(await reads('/multi-exec')).toBe(0);
    expect(await reads('/pipeline')).toBeGreaterThan(0);
  });
});

describe('a client', () => {
  const STRINGS = [
    '',
    'OK',
    'null',
    '12',
    '{"a":1}',
    ':',
    '{}',
    'a\u0000b',
    'line\nfeed\r\n',
    '"\\\u2028',
    'café',
    'cafe\u0301',
    '😀',
    '💩'.repeat(2_500),
    'T0s=',
    '<script>&',
  ];
  const send = () => upstashClient({ url: upstash.url, token: upstash.token }, 5_000);

  test.each(STRINGS)('stores and reads %j as Redis does', async (text) => {
    expect(await send()(['SET', 'key', text])).toBe('OK');
    expect(await redis.get('key')).toBe(text);
    expect(await send()(['GET', 'key'])).toBe(text);
    const nested = ['EVAL', 'return {ARGV[1], {ARGV[1], 7}, false}', '0', text];
    expect(await send()(nested)).toEqual(await redis.sendCommand(nested));
  });

  test('keeps a byte order mark, which the encoding that Upstash’s client asks for by itself would lose', async () => {
    const text = '\ufeffmarked';
    await send()(['SET', 'key', text]);
    expect(await send()(['GET', 'key'])).toBe(text);
    const defaults = new Redis({ url: upstash.url, token: upstash.token, enableTelemetry: false });
    expect(await defaults.get('key')).toBe('marked');
  });

  test('of Upstash, with its own defaults, reads what the server encodes', async () => {
    const defaults = new Redis({ url: upstash.url, token: upstash.token, automaticDeserialization: false });
    for (const text of STRINGS) {
      await defaults.set('key', text);
      expect(await defaults.get('key')).toBe(text);
    }
    expect(await defaults.multi().set('a', 'x').get('a').mget('a', 'b').exec()).toEqual(['OK', 'x', ['x', null]]);
  });
});
