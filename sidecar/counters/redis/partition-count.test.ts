import { pino } from 'pino';
import { createClient } from 'redis';
import { beforeAll, expect, test } from 'vitest';
import { readEnvironment } from '../../../runtime/config/environment.ts';
import { BRING_TIMEOUT_MS } from '../../../test/helpers/bring.ts';
import { type RedisServer, startRedis } from '../../../test/helpers/redis-server.ts';
import { CountersUnavailable } from '../contract.ts';
import { openRedisCounters } from './open.ts';

let redis: RedisServer;

beforeAll(async () => {
  redis = await startRedis();
}, BRING_TIMEOUT_MS);

const log = pino({ level: 'silent' });
const denial = { decisionId: 'd.0', event: { tenant_id: 'acme' }, reason: 'rate_limited' };

function open(failures: unknown[] = []) {
  return openRedisCounters(redis.url, { environment: readEnvironment({}), log, fail: (error) => failures.push(error) });
}

async function control<Result>(work: (client: ReturnType<typeof createClient>) => Promise<Result>): Promise<Result> {
  const client = createClient({ url: redis.url });
  await client.connect();
  return work(client as ReturnType<typeof createClient>).finally(() => client.close());
}

test('the first process writes the number down, and the next one finds it', async () => {
  await control((client) => client.flushAll());
  await (await open()).close();
  expect(await control((client) => client.get('ocr:{p0}:partitions'))).toBe('1');
  await (await open()).close();
});

test('data that is spread over another number is refused, with what to do, and nothing is written', async () => {
  await control((client) => client.set('ocr:{p0}:partitions', '64'));
  await expect(open()).rejects.toThrow(/spread over 64 partitions.*would look for them in 1.*empty one/s);
  expect(await control((client) => client.keys('*'))).toEqual(['ocr:{p0}:partitions']);
});

test('a store that was away at the start is refused as soon as it is there', async () => {
  await control((client) => client.set('ocr:{p0}:partitions', '64'));
  await redis.kill();
  const failures: unknown[] = [];
  const store = await open(failures);
  await expect(store.deny(denial)).rejects.toThrow(CountersUnavailable);
  expect(failures).toEqual([]);
  await redis.restart();
  await expect.poll(() => store.deny(denial).catch(() => failures.length), { timeout: 20_000 }).toBe(1);
  expect(await control((client) => client.keys('*'))).toEqual(['ocr:{p0}:partitions']);
  await store.close();
});
