import { pino } from 'pino';
import { Registry } from 'prom-client';
import { createClient } from 'redis';
import { afterAll, beforeAll } from 'vitest';
import { openRedisStream } from '../../billing-worker/stream/redis.ts';
import { type Clock, systemClock } from '../../runtime/clock.ts';
import { connectRedis } from '../../sidecar/counters/redis/connection.ts';
import { loadScripts } from '../../sidecar/counters/redis/scripts.ts';
import { RedisStore } from '../../sidecar/counters/redis/store.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { SETTINGS } from '../helpers/counter-settings.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { describeCounterStore } from './counter-store.suite.ts';

const log = pino({ level: 'silent' });
const TIMEOUT_MS = 10_000;

/** Stands in the place of the script's own clock, so that a test may set it. */
const SET_CLOCK = `
local function store_time()
  return tonumber(redis.call('GET', 'test-clock'))
end
`;

let redis: RedisServer;

beforeAll(async () => {
  redis = await startRedis();
}, BRING_TIMEOUT_MS);

afterAll(() => redis?.stop());

async function open(replace: Record<string, string>, clock: Clock = systemClock) {
  const control = await createClient({ url: redis.url }).connect();
  await control.flushAll();
  const connection = await connectRedis(redis.url, TIMEOUT_MS, log);
  const store = new RedisStore(connection, loadScripts(replace), clock, SETTINGS);
  const registry = new Registry();
  const stream = await openRedisStream({ url: redis.url, key: 'ocr:{p0}:usage', consumer: 'test', registry, log });
  const close = async () => {
    await Promise.all([store.close(), stream.close(), control.close()]);
  };
  return { store, stream, control, close };
}

describeCounterStore('the Redis store', () => open({}), { settableClock: false });

describeCounterStore(
  'the Redis store with a clock that a test sets',
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
