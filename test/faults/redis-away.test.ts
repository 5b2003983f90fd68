import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, type RedisClientType } from 'redis';
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { BRING_TIMEOUT_MS, bringRedis } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
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
  sidecar = await startSidecar({ REDIS_URL: proxy.url(redis.url), STORE_TIMEOUT_MS: String(TIMEOUT_MS) });
  expect((await timed()).result.allow).toBe(true);
});

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

/** One after another, until the breaker has opened; the first of them show how long one waits without it. */
async function untilOpen(): Promise<Answer[]> {
  const waited: Answer[] = [];
  while (said('the counters are away').length === 0) waited.push(await timed());
  return waited;
}

describe('away, and back without a restart of the sidecar', { timeout: 60_000 }, () => {
  test('killed: denied at once; back: allowed, and nothing that was allowed is lost', async () => {
    const allowed = 1 + (await inParallel(50, 8, timed)).filter(({ result }) => result.allow).length;
    await redis.kill();
    const denied = await inParallel(200, 16, timed);
    allDenied(denied);
    expect(longest(denied)).toBeLessThan(TIMEOUT_MS + SLACK_MS);
    expect((await get(`${sidecar.url}/health`)).status).toBe(500);
    await redis.restart();
    await allowedAgain();
    expect((await get(`${sidecar.url}/health`)).status).toBe(200);
    admin = await connectAdmin();
    expect(await taken()).toBe(allowed + 1);
    console.log({ killed: longest(denied), median: median(denied) });
  });

  test('frozen for 3 s: after a few time-outs nobody waits any more', async () => {
    await redis.kill('SIGSTOP');
    const waited = await untilOpen();
    const denied = await inParallel(200, 16, timed);
    await sleep(3_000);
    const probing = await timed();
    await redis.kill('SIGCONT');
    const back = performance.now();
    await allowedAgain();
    console.log({
      waited: waited.map(({ ms }) => ms),
      after: [median(denied), longest(denied)],
      back: performance.now() - back,
    });
    allDenied([...waited, ...denied, probing]);
    expect(median(waited)).toBeGreaterThan(TIMEOUT_MS - 10);
    expect(longest(waited)).toBeLessThan(TIMEOUT_MS + SLACK_MS);
    expect(longest(denied)).toBeLessThan(median(waited) / 2);
    expect(median(denied)).toBeLessThan(median(waited) / 10);
    expect([said('the counters are away').length, said('the counters are back').length]).toEqual([1, 1]);
  });

  test('frozen under load', async () => {
    await redis.kill('SIGSTOP');
    const denied = await inParallel(300, 100, timed);
    await redis.kill('SIGCONT');
    console.log({ load: [median(denied), longest(denied)] });
    allDenied(denied);
    await allowedAgain();
  });
});
