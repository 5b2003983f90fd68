import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, RESP_TYPES, type RedisClientType } from 'redis';
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { BRING_TIMEOUT_MS, bringRedis } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/free-port.ts';
import { startProcess } from '../helpers/process.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { ask, get, inParallel } from '../helpers/sidecar-client.ts';
import { type FaultProxy, startProxy } from '../helpers/tcp-proxy.ts';

/** A real sidecar whose Redis goes away in each of the ways in which servers do, and comes back. */
const TIMEOUT_MS = 250;

/** What an answer takes without any fault, on a machine that has other things to do. */
const SLACK_MS = 150;

const INPUT = { tenant_id: 'acme' };

let redis: RedisServer;
let proxy: FaultProxy;
let sidecar: Service;
let admin: RedisClientType;

beforeAll(bringRedis, BRING_TIMEOUT_MS);

beforeEach(async () => {
  redis = await startRedis();
  proxy = await startProxy({ target: redis });
  admin = await connectAdmin();
  sidecar = await startSidecar(environment());
  expect((await timed()).result.allow).toBe(true);
});

const environment = () => ({ REDIS_URL: proxy.url(redis.url), STORE_TIMEOUT_MS: String(TIMEOUT_MS) });

/** One that says nothing: hundreds of refusals at once take longer to write than to make. */
async function startSilent(variables: Record<string, string>): Promise<Service> {
  const port = await freePort();
  const env = { ...environment(), ...variables, PORT: String(port), LOG_LEVEL: 'silent' };
  const process = await startProcess({ script: 'dist/sidecar/main.js', env });
  const url = `http://127.0.0.1:${port}`;
  await eventually(async () => expect((await get(`${url}/health`)).status).toBe(200));
  return { process, url };
}

async function connectAdmin() {
  const client = createClient({ url: redis.url }).on('error', () => undefined);
  onTestFinished(() => client.destroy());
  return (await client.connect()) as RedisClientType;
}

/** Asks, and says how long the answer took. */
async function timed() {
  const start = performance.now();
  const { body, headers, status } = await ask(sidecar.url, INPUT, 'decision');
  return { ms: performance.now() - start, status, retryAfter: headers.get('Retry-After'), result: body.result };
}

type Answer = Awaited<ReturnType<typeof timed>>;

const isDenial = ({ result, retryAfter, status }: Answer) =>
  status === 200 && result.allow === false && result.reason === 'counters_unavailable' && retryAfter === '1';

const allDenied = (answers: Answer[]) => expect(answers.filter((answer) => !isDenial(answer))).toEqual([]);

const longest = (answers: Answer[]) => Math.max(...answers.map(({ ms }) => ms));

const median = (answers: Answer[]) => answers.map(({ ms }) => ms).toSorted((a, b) => a - b)[answers.length >> 1] ?? 0;

const said = (text: string) => sidecar.process.stdout.filter((line) => line.includes(text));

const taken = () => admin.xLen('ocr:{p0}:usage');

const allowedAgain = () =>
  eventually(async () => expect((await timed()).result.allow).toBe(true), { timeoutMs: 20_000, intervalMs: 20 });

/** One after another, until the breaker has opened. They show how long one waits without it. */
async function untilOpen(): Promise<Answer[]> {
  const waited: Answer[] = [];
  while (said('the counters are away').length === 0) waited.push(await timed());
  return waited;
}

describe('away, and back without a restart of the sidecar', { timeout: 60_000 }, () => {
  test('killed: denied at once; back: allowed, and nothing that was allowed is lost', async () => {
    const allowed = (await inParallel(50, 8, timed)).filter(({ result }) => result.allow).length;
    expect(allowed).toBe(50);
    await redis.kill();
    const denied = await inParallel(200, 16, timed);
    allDenied(denied);
    expect(longest(denied)).toBeLessThan(TIMEOUT_MS + SLACK_MS);
    expect((await get(`${sidecar.url}/health`)).status).toBe(500);

    await redis.restart();
    await allowedAgain();
    expect((await get(`${sidecar.url}/health`)).status).toBe(200);
    admin = await connectAdmin();
    expect(await taken()).toBe(1 + allowed + 1);
  });

  test('frozen for 3 s: two wait for their time-out, the others for nothing', async () => {
    await redis.kill('SIGSTOP');
    const waited = await untilOpen();
    const denied = await inParallel(100, 1, timed);
    await sleep(3_000);
    const later = await timed();
    expect((await get(`${sidecar.url}/health`)).status).toBe(500);
    await redis.kill('SIGCONT');
    await allowedAgain();

    // What waited in its buffers was too late when it went on: only the first and the last were charged.
    expect(await taken()).toBe(2);
    allDenied([...waited, ...denied, later]);
    expect(waited.length).toBeLessThanOrEqual(2);
    expect(longest(waited)).toBeGreaterThan(TIMEOUT_MS - 10);
    expect(longest(waited)).toBeLessThan(TIMEOUT_MS + SLACK_MS);
    expect(median(denied)).toBeLessThan(longest(waited) / 10);
    expect(longest([...denied, later])).toBeLessThan(longest(waited) / 2);
    expect([said('the counters are away').length, said('the counters are back').length]).toEqual([1, 1]);
  });

  test('frozen under load: nobody waits for the time-outs of others', async () => {
    // 400 are four rounds of two calls with 64 to each: without a breaker the last of them wait for 4 s.
    const timeoutMs = 1_000;
    sidecar = await startSilent({ STORE_TIMEOUT_MS: String(timeoutMs) });
    await inParallel(400, 400, timed);
    const before = await taken();
    await redis.kill('SIGSTOP');
    const denied = await inParallel(400, 400, timed);
    await redis.kill('SIGCONT');
    await allowedAgain();
    allDenied(denied);
    expect(await taken()).toBe(before + 1);
    expect(longest(denied)).toBeLessThan(1.8 * timeoutMs);
  });

  test('gone without a word: noticed, and connected to anew as soon as there is a way', async () => {
    proxy.blackhole();
    const denied = await untilOpen();
    await eventually(
      async () => {
        denied.push(await timed());
        expect(said('does not answer; connecting anew')).toHaveLength(1);
      },
      { timeoutMs: 10_000, intervalMs: 50 },
    );
    allDenied(denied);
    proxy.heal();
    await allowedAgain();
  });

  test('connections that are reset again and again: an answer to each, and no more than was taken', async () => {
    const answers: Answer[] = [];
    const resetting = setInterval(() => proxy.reset(), 100);
    for (const end = performance.now() + 2_000; performance.now() < end; )
      answers.push(...(await inParallel(8, 8, timed)));
    clearInterval(resetting);
    await allowedAgain();
    const allowed = answers.filter(({ result }) => result.allow);
    allDenied(answers.filter(({ result }) => !result.allow));
    expect(allowed.length).toBeGreaterThan(0);
    expect(await taken()).toBeGreaterThanOrEqual(allowed.length + 2);
  });
});

describe('slow', { timeout: 60_000 }, () => {
  test('150 ms there and back, within the time-out: allowed, and nothing is said', async () => {
    proxy.delay(75);
    const answers = await inParallel(40, 8, timed);
    expect(answers.every(({ result }) => result.allow)).toBe(true);
    expect(median(answers)).toBeGreaterThan(145);
    expect(said('the counters are away')).toEqual([]);
  });

  test('400 ms, beyond it: denied at once after the first two, allowed as soon as it is fast again', async () => {
    proxy.delay(200);
    const waited = await untilOpen();
    const denied = await inParallel(100, 1, timed);
    allDenied([...waited, ...denied]);
    expect(waited.length).toBeLessThanOrEqual(2);
    expect(median(denied)).toBeLessThan(longest(waited) / 10);
    proxy.heal();
    await allowedAgain();
    expect(said('the counters are back')).toHaveLength(1);
  });
});

describe('there, but not as it was', { timeout: 60_000 }, () => {
  test('scripts flushed again and again under load: no caller sees it, and each is charged once', async () => {
    let flushes = 0;
    let done = false;
    const flushing = (async () => {
      for (; !done; flushes++) await admin.sendCommand(['SCRIPT', 'FLUSH']);
    })();
    const answers = await inParallel(2_000, 32, timed);
    done = true;
    await flushing;
    expect(answers.filter(({ result }) => !result.allow)).toEqual([]);
    expect(flushes).toBeGreaterThan(100);
    expect(await taken()).toBe(1 + answers.length);
    expect(sidecar.process.stdout.filter((line) => line.startsWith('{"level":50'))).toEqual([]);
  });

  test('out of memory: denied, every key as it was, allowed again when there is some', async () => {
    const before = await everything();
    await admin.configSet('maxmemory', '1');
    const denied = await inParallel(100, 16, timed);
    allDenied(denied);
    expect((await get(`${sidecar.url}/health`)).status).toBe(500);
    expect(await everything()).toEqual(before);
    expect(said('the counters are away')).toEqual([]);

    await admin.configSet('maxmemory', '0');
    expect((await timed()).result.allow).toBe(true);
    expect((await get(`${sidecar.url}/health`)).status).toBe(200);
    expect(await taken()).toBe(2);
  });
});

/** Every key with its value as Redis would keep it on disk. */
async function everything(): Promise<Record<string, string>> {
  const binary = admin.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  const keys = (await admin.keys('*')).toSorted();
  return Object.fromEntries(
    await Promise.all(keys.map(async (key) => [key, String((await binary.dump(key))?.toString('hex'))])),
  );
}
