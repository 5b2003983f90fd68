import { beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { ask, get } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { PROBED, standingOf } from './fuzz/standing.ts';
import { RawSocket } from './raw-socket.ts';

const SOCKETS = fullLength ? 5_000 : 300;
const IN_FLIGHT = 100;
const HEAD = 'POST /v1/data/openclaw/rate_limit/allow HTTP/1.1\r\nHost: a\r\n';

let sidecar: Service;

beforeAll(() => start({ HEADERS_TIMEOUT_MS: '600', REQUEST_TIMEOUT_MS: '1200', KEEP_ALIVE_TIMEOUT_MS: '700' }), 60_000);

async function start(times: Record<string, string>): Promise<void> {
  const redis = await startRedis();
  sidecar = await startSidecar({
    ...PROBED,
    ...times,
    REDIS_URL: redis.url,
    DATA_DIR: await tempDir('data'),
    MAX_CONNECTIONS: String(SOCKETS + 50),
    MAX_REQUESTS_IN_FLIGHT: String(IN_FLIGHT),
    STORE_TIMEOUT_MS: '10000',
    POLICY_TIMEOUT_MS: '10000',
  });
}

/** Whoever behaves is answered as ever. */
async function innocent(tenant = 'innocent'): Promise<void> {
  expect(await ask(sidecar.url, { tenant_id: tenant })).toMatchObject({ status: 200, body: { result: true } });
}

const open = () => RawSocket.open(sidecar.url);
const opened = (count: number) => Promise.all(Array.from({ length: count }, open));

describe('a connection is ended on which', () => {
  test('nothing comes', async () => {
    const silent = await open();
    await innocent();
    await silent.over();
    expect([408, undefined]).toContain(silent.statuses[0]);
  });

  test('headers come one by one, for longer than they may', async () => {
    const slow = (await open()).write(HEAD);
    const drip = setInterval(() => slow.write('X-A: b\r\n'), 100);
    await innocent();
    await slow.over();
    clearInterval(drip);
    expect(slow.statuses).toEqual([408]);
  });

  test('a body comes byte by byte, for longer than it may', async () => {
    const slow = (await open()).write(`${HEAD}Content-Length: 1000\r\n\r\n{`);
    const drip = setInterval(() => slow.write(' '), 100);
    await innocent();
    await slow.over();
    clearInterval(drip);
    expect(slow.statuses).toEqual([408]);
  });

  test('a chunked body never ends', async () => {
    const slow = (await open()).write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n`);
    const drip = setInterval(() => slow.write('1\r\n \r\n'), 100);
    await slow.over();
    clearInterval(drip);
    expect(slow.statuses).toEqual([408]);
  });

  test('no further request comes', async () => {
    const idle = (await open()).write('GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n');
    await idle.over();
    expect(idle.statuses).toEqual([200]);
  });
});

describe('sockets', () => {
  // Thousands take seconds to open: the first must not be gone by then.
  beforeAll(async () => {
    if (!fullLength) return;
    const impatient = sidecar;
    await start({ HEADERS_TIMEOUT_MS: '10000', REQUEST_TIMEOUT_MS: '12000' });
    return () => {
      sidecar = impatient;
    };
  }, 60_000);

  test(`${SOCKETS} that send half a request each: others are answered, and all of them are gone in the end`, {
    timeout: 120_000,
  }, async () => {
    const before = await standingOf(sidecar.process);
    const slow = await opened(SOCKETS);
    for (const socket of slow) socket.write(`${HEAD}Content-Length: 9\r\n\r\n{`);
    for (let i = 0; i < 5; i++) await innocent();
    await Promise.all(slow.map((socket) => socket.over(60_000)));
    expect(slow.every(({ statuses }) => statuses.length === 0 || statuses[0] === 408)).toBe(true);
    const after = await eventually(async () => {
      const now = await standingOf(sidecar.process);
      expect(now.handles).toBeLessThan(before.handles + 50);
      return now;
    });
    expect(after.heapUsed - before.heapUsed).toBeLessThan(32 * 1_048_576);
    await innocent();
  });

  test('beyond MAX_CONNECTIONS are closed at once; when some have gone, there is room again', {
    timeout: 60_000,
  }, async () => {
    const held = await opened(SOCKETS + 60);
    await Promise.all(held.slice(-5).map((socket) => socket.over()));
    expect(held.filter(({ isOver }) => isOver).length).toBeGreaterThanOrEqual(5);
    for (const socket of held) socket.destroy();
    await expect
      .poll(
        () =>
          innocent().then(
            () => 'answered',
            () => 'refused',
          ),
        { timeout: 10_000 },
      )
      .toBe('answered');
    await sidecar.process.waitForLine(/requests or connections are refused/);
    const metrics = await (await fetch(`${sidecar.url}/metrics`)).text();
    expect(Number(/^openclaw_overload_refusals_total (\d+)$/m.exec(metrics)?.[1])).toBeGreaterThanOrEqual(5);
  });
});

describe('one connection', () => {
  test('that sends thousands of requests at once has so many under way as may be; each has its answer, in order', {
    timeout: 60_000,
  }, async () => {
    const count = fullLength ? 10_000 : 1_000;
    const body = '{"input":{"tenant_id":"pipelined"}}';
    const one = `${HEAD}Content-Length: ${body.length}\r\n\r\n${body}`;
    const socket = (await open()).write(one.repeat(count));
    await socket.answers(count, 50_000);
    expect(socket.statuses).toHaveLength(count);
    expect(new Set(socket.statuses)).toEqual(new Set([200, 503]));
    const refused = socket.said.split('HTTP/1.1 ').filter((answer) => answer.startsWith('503'));
    expect(refused.every((answer) => /^retry-after: 1\r$/im.test(answer))).toBe(true);
    await innocent();
  });

  test('that asks and never reads holds nobody up', { timeout: 60_000 }, async () => {
    const { hostname, port } = new URL(sidecar.url);
    const { connect } = await import('node:net');
    const deaf = connect(Number(port), hostname);
    deaf.on('error', () => {});
    deaf.pause();
    const before = await standingOf(sidecar.process);
    for (let i = 0; i < 20; i++) deaf.write('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(100));
    for (let i = 0; i < 5; i++) await innocent();
    const after = await standingOf(sidecar.process);
    // Two thousand answers of 30 kB would be 60 MB.
    expect(after.heapUsed - before.heapUsed).toBeLessThan(32 * 1_048_576);
    deaf.destroy();
  });
});

test('who goes in the middle of a request is no failure: what was decided stands, and nothing is logged as an error', async () => {
  const body = '{"input":{"tenant_id":"gone"}}';
  const whole = `${HEAD}Content-Length: ${body.length}\r\n\r\n${body}`;
  for (const sent of [
    HEAD,
    `${HEAD}Content-Length: 99\r\n\r\n{`,
    `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n{`,
    whole,
  ]) {
    const sockets = await opened(20);
    for (const [index, socket] of sockets.entries()) {
      socket.write(sent);
      if (index % 2) socket.half();
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    for (const [index, socket] of sockets.entries()) index % 3 ? socket.destroy() : socket.reset();
  }
  await innocent();
  const left = await get(
    `${sidecar.url}/v1/data/openclaw/rate_limit/allow?input=${encodeURIComponent('{"tenant_id":"gone"}')}`,
  );
  const remaining = Number(/r=(\d+)/.exec(left.headers.get('RateLimit') ?? '')?.[1]);
  // What is asked here would take one, too.
  expect(remaining).toBeGreaterThanOrEqual(10_000 - 1 - 20);
  expect(remaining).toBeLessThan(10_000 - 1);
  expect(sidecar.process.output.filter((line) => /"level":"?(error|50)|request failed/.test(line))).toEqual([]);
});
