import { pino } from 'pino';
import { Registry } from 'prom-client';
import { createClient } from 'redis';
import { beforeAll, describe, expect, test } from 'vitest';
import { openUpstashStream } from '../../billing-worker/stream/upstash.ts';
import { type Clock, systemClock } from '../../runtime/clock.ts';
import { loadScripts } from '../../sidecar/counters/redis/scripts.ts';
import { RedisStore } from '../../sidecar/counters/redis/store.ts';
import { connectUpstash } from '../../sidecar/counters/upstash/connection.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { SETTINGS } from '../helpers/counter-settings.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { startUpstash, type UpstashServer } from '../helpers/upstash-server.ts';
import { describeCounterStore } from './counter-store.suite.ts';
import { limit, Workbench } from './workbench.ts';

const log = pino({ level: 'silent' });
const TIMEOUT_MS = 10_000;

/** Stands in the place of the script's own clock, so that a test may set it. */
const SET_CLOCK = `
local function store_time()
  return tonumber(redis.call('GET', 'test-clock'))
end
`;

let redis: RedisServer;
let upstash: UpstashServer;

beforeAll(async () => {
  redis = await startRedis();
  upstash = await startUpstash(redis);
}, BRING_TIMEOUT_MS);

async function open(replace: Record<string, string> = {}, clock: Clock = systemClock) {
  const control = await createClient({ url: redis.url }).connect();
  await control.flushAll();
  const access = { url: upstash.url, token: upstash.token };
  const connection = await connectUpstash({ ...access, timeoutMs: TIMEOUT_MS, log });
  const store = new RedisStore(connection, loadScripts(replace), clock, SETTINGS);
  const reader = { key: 'ocr:{p0}:usage', consumer: 'test', registry: new Registry(), log };
  const stream = openUpstashStream({ ...access, ...reader });
  const close = async () => {
    await Promise.all([store.close(), stream.close(), control.close()]);
  };
  return { store, stream, control, close };
}

describeCounterStore('the counters on Upstash', () => open(), { settableClock: false });

describeCounterStore(
  'the counters on Upstash with a clock that a test sets',
  async () => {
    const { control, ...opened } = await open({ now: SET_CLOCK });
    let now = Date.parse('2026-01-01T00:00:00Z');
    const set = async (time: number) => {
      now = time;
      await control.set('test-clock', String(time));
    };
    await set(now);
    return { ...opened, clock: { now: () => now, set } };
  },
  { settableClock: true },
);

describe('what is paid for by the request', () => {
  const CAPACITY = 100;
  const DECISIONS = 256;

  test(`${DECISIONS} decisions at once need at most 0.2 requests each, and are each decided`, async () => {
    const bench = new Workbench(await open());
    await bench.taken(limit({ id: 'warm up' }));
    const [requests, commands] = [upstash.requests, upstash.commands];
    const wanted = limit({ capacity: CAPACITY });
    const results = await Promise.all(Array.from({ length: DECISIONS }, () => bench.take(wanted)));
    expect((upstash.requests - requests) / DECISIONS).toBeLessThanOrEqual(0.2);
    expect(upstash.commands - commands).toBe(upstash.requests - requests);
    expect(results.filter(({ kind }) => kind === 'taken')).toHaveLength(CAPACITY);
    expect(results.filter(({ kind }) => kind === 'refused')).toHaveLength(DECISIONS - CAPACITY);
    await bench.close();
  });

  test('one decision, settle or question is one request', async () => {
    const bench = new Workbench(await open());
    const wanted = limit({ settles: true });
    await bench.void((await bench.taken(wanted)).id);
    const cost = async (step: () => Promise<unknown>) => {
      const before = upstash.requests;
      await step();
      return upstash.requests - before;
    };
    let id = '';
    const steps = [
      async () => {
        ({ id } = await bench.taken(wanted));
      },
      () => bench.settle(id, 1),
      () => bench.peek(wanted),
      () => bench.store.record(id),
      () => bench.store.ping(),
    ];
    for (const step of steps) expect(await cost(step)).toBe(1);
    await bench.close();
  });
});

test('C13 scripts that are flushed again and again are loaded without an error to any caller, and nothing is taken twice', async () => {
  const { control, ...opened } = await open();
  const bench = new Workbench(opened);
  const flushing = new AbortController();
  const flushes = (async () => {
    let times = 0;
    for (; !flushing.signal.aborted; times++) await control.sendCommand(['SCRIPT', 'FLUSH']);
    return times;
  })();
  const wanted = limit({ capacity: 200 });
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 10 }, () => bench.taken(wanted)));
  }
  flushing.abort();
  expect(await flushes).toBeGreaterThan(20);
  await bench.refused(wanted);
  expect((await bench.events()).filter(({ type }) => type === 'consumed')).toHaveLength(200);
  await bench.close();
});
