import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { ask, get } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { PROBED, standingOf } from './fuzz/standing.ts';
import { RawSocket } from './raw-socket.ts';

const MIB = 1_048_576;

let sidecar: Service;

beforeAll(async () => {
  const redis = await startRedis();
  const env = { HEADERS_TIMEOUT_MS: '1000', REQUEST_TIMEOUT_MS: '2000', STORE_TIMEOUT_MS: '10000' };
  sidecar = await startSidecar({ ...PROBED, ...env, REDIS_URL: redis.url, DATA_DIR: await tempDir('data') });
}, 60_000);

/** What is left for a tenant: who smuggles a request in takes from it. */
async function remaining(tenant: string): Promise<number> {
  const input = encodeURIComponent(JSON.stringify({ tenant_id: tenant }));
  const { headers } = await get(`${sidecar.url}/v1/data/openclaw/rate_limit/allow?input=${input}`);
  return Number(/r=(\d+)/.exec(headers.get('RateLimit') ?? '')?.[1]);
}

const takeOf = (tenant: string, head = '') => {
  const body = JSON.stringify({ input: { tenant_id: tenant } });
  return `POST /v1/data/openclaw/rate_limit/allow HTTP/1.1\r\nHost: a\r\n${head}Content-Length: ${body.length}\r\n\r\n${body}`;
};

const POST = 'POST /v1/data/openclaw/rate_limit/allow HTTP/1.1\r\n';
const hidden = takeOf('hidden');
const HIDDEN = hidden.length;

describe('where a request ends can be read in one way only: what stands behind it is not taken for another', () => {
  test.each<[string, string]>([
    ['two lengths', `${POST}Host: a\r\nContent-Length: 0\r\nContent-Length: ${HIDDEN}\r\n\r\n${hidden}`],
    ['two lengths in one', `${POST}Host: a\r\nContent-Length: 0, ${HIDDEN}\r\n\r\n${hidden}`],
    [
      'a length and chunks',
      `${POST}Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
    ],
    [
      'chunks and a length',
      `${POST}Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${hidden}`,
    ],
    ['a signed length', `${POST}Host: a\r\nContent-Length: +0\r\n\r\n${hidden}`],
    ['a length below nothing', `${POST}Host: a\r\nContent-Length: -1\r\n\r\n${hidden}`],
    ['a length in hexadecimal', `${POST}Host: a\r\nContent-Length: 0x0\r\n\r\n${hidden}`],
    ['a length beyond all numbers', `${POST}Host: a\r\nContent-Length: ${'9'.repeat(30)}\r\n\r\n${hidden}`],
    ['an unknown coding', `${POST}Host: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${hidden}`],
    ['a coding hidden by a tab', `${POST}Host: a\r\nTransfer-Encoding:\tchunked, identity\r\n\r\n0\r\n\r\n${hidden}`],
    [
      'two codings',
      `${POST}Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${hidden}`,
    ],
    ['bare line feeds', `${POST.replace('\r', '')}Host: a\nContent-Length: 0\n\n${hidden}`],
    ['a bare carriage return', `${POST}Host: a\rContent-Length: 0\r\n\r\n${hidden}`],
    ['a folded line', `${POST}Host: a\r\nContent-Length:\r\n 0\r\n\r\n${hidden}`],
    ['a space before the colon', `${POST}Host: a\r\nContent-Length : 0\r\n\r\n${hidden}`],
    ['a name with a NUL', `${POST}Host: a\r\nContent-Length\0: 0\r\n\r\n${hidden}`],
    [
      'a chunk that is longer than it says',
      `${POST}Host: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n${hidden}`,
    ],
    [
      'a chunk whose size is no number',
      `${POST}Host: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n${hidden}`,
    ],
    [
      'a chunk with a size beyond all numbers',
      `${POST}Host: a\r\nTransfer-Encoding: chunked\r\n\r\n${'f'.repeat(20)}\r\n${hidden}`,
    ],
    [
      'an extension of a chunk with a line feed',
      `${POST}Host: a\r\nTransfer-Encoding: chunked\r\n\r\n0;x\n\r\n\r\n${hidden}`,
    ],
    [
      'extensions of chunks without end',
      `${POST}Host: a\r\nTransfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(20_000)}\r\n{\r\n0\r\n\r\n${hidden}`,
    ],
    ['HTTP/0.9', `GET /health/live\r\n\r\n${hidden}`],
    ['HTTP/1.0 with chunks', `POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`],
    ['HTTP/2', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${hidden}`],
    ['a method with a line in it', `POST\r\nX: / HTTP/1.1\r\nHost: a\r\n\r\n${hidden}`],
    ['a proxy line', `PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n${hidden}`],
    ['another protocol', `*1\r\n$4\r\nPING\r\n${hidden}`],
  ])('%s', async (_, bytes) => {
    const before = await remaining('hidden');
    const socket = await RawSocket.open(sidecar.url);
    // What follows is what the next caller of a shared connection would send.
    socket.write(bytes);
    await socket.over();
    expect(socket.statuses.filter((status) => status < 400)).toEqual([]);
    expect(socket.statuses.length).toBeLessThanOrEqual(1);
    expect(await remaining('hidden')).toBe(before);
  });

  test('a length that is right, twice, is still one request; a body of a GET is no request either', async () => {
    const before = await remaining('hidden');
    const get = `GET /health/live HTTP/1.1\r\nHost: a\r\nContent-Length: ${HIDDEN}\r\n\r\n${hidden}`;
    const socket = (await RawSocket.open(sidecar.url)).write(get + takeOf('open', 'Connection: close\r\n'));
    await socket.over();
    expect(socket.statuses).toEqual([200, 200]);
    expect(await remaining('hidden')).toBe(before);
    expect(await remaining('open')).toBeLessThan(before);
  });
});

describe('a body that unpacks to more than it may is refused, and not unpacked further', () => {
  const send = (body: Buffer, path = '/v1/data/openclaw/rate_limit/allow') =>
    fetch(`${sidecar.url}${path}`, {
      method: 'POST',
      headers: { 'Content-Encoding': 'gzip' },
      body: new Uint8Array(body),
    });

  test('a gigabyte of zeros in less than a megabyte', { timeout: 60_000 }, async () => {
    // In parts, which gzip unpacks one after the other: packing it whole takes seconds.
    const bomb = Buffer.concat(Array(50).fill(gzipSync(Buffer.alloc(20 * MIB), { level: 9 })));
    expect(bomb.length).toBeLessThan(MIB);
    const before = await standingOf(sidecar.process);
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(bomb)));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(400));
    expect(await answers[0]?.json()).toMatchObject({ message: expect.stringContaining('unpacked it is longer than') });
    expect((await send(bomb, '/v1/usage')).status).toBe(413);
    const after = await standingOf(sidecar.process);
    expect(after.rss - before.rss).toBeLessThan(150 * MIB);
  });

  test.each<[string, (packed: Buffer) => Buffer]>([
    ['another size than it says', (packed) => Buffer.concat([packed.subarray(0, -4), Buffer.from([1, 0, 0, 0])])],
    ['another checksum', (packed) => Buffer.concat([packed.subarray(0, -8), Buffer.alloc(4), packed.subarray(-4)])],
    ['an end that is missing', (packed) => packed.subarray(0, -10)],
    ['nothing but a head', (packed) => packed.subarray(0, 10)],
    ['no gzip', () => Buffer.from('{"input":{"tenant_id":"packed"}}')],
    ['a bomb in a bomb', (packed) => gzipSync(packed)],
  ])('%s', async (_, broken) => {
    const before = await remaining('packed');
    const answer = await send(broken(gzipSync('{"input":{"tenant_id":"packed"}}')));
    expect(answer.status).toBe(400);
    expect(await remaining('packed')).toBe(before);
  });

  test('two packed parts are one body, as gzip has it', async () => {
    const parts = Buffer.concat([gzipSync('{"input":{"tenant'), gzipSync('_id":"packed"}}')]);
    expect(await (await send(parts)).json()).toMatchObject({ result: true });
    const bombs = Buffer.concat(Array.from({ length: 50 }, () => gzipSync(Buffer.alloc(MIB / 2, ' '))));
    expect((await send(bombs)).status).toBe(400);
  });
});

test('after all of that, who behaves is answered as ever', async () => {
  expect(await ask(sidecar.url, { tenant_id: 'innocent' })).toMatchObject({ status: 200, body: { result: true } });
});
