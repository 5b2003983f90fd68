import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { createClient } from 'redis';
import { beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../runtime/clock.ts';
import { planSchema } from '../../schemas/policy-io.ts';
import { usageStreamKey } from '../../schemas/usage-stream.ts';
import { CountersUnavailable } from '../../sidecar/counters/contract.ts';
import { connectRedis } from '../../sidecar/counters/redis/connection.ts';
import { loadScripts } from '../../sidecar/counters/redis/scripts.ts';
import { RedisStore } from '../../sidecar/counters/redis/store.ts';
import { BRING_TIMEOUT_MS, bringRedis } from '../helpers/bring.ts';
import { SETTINGS } from '../helpers/counter-settings.ts';
import { startRedis } from '../helpers/redis-server.ts';

const STREAM = usageStreamKey(0);
const ASIDE = `${STREAM}-aside`;

const plan = planSchema.parse({
  limits: [
    {
      id: 'flight',
      subject: { type: 'tenant', id: 'acme' },
      unit: 'concurrent',
      kind: 'concurrency',
      capacity: 2,
      cost: 1,
    },
  ],
});

beforeAll(bringRedis, BRING_TIMEOUT_MS);

test('a reservation that expires while the stream takes no event is marked as soon as it does', async () => {
  const redis = await startRedis();
  const control = await createClient({ url: redis.url }).connect();
  const connection = await connectRedis(redis.url, 10_000, pino({ level: 'silent' }));
  const store = new RedisStore(connection, loadScripts(), systemClock, { ...SETTINGS, reservationTtlMs: 1 });
  const take = (decisionId: string) =>
    store.take({ decisionId, plan, event: { tenant_id: 'acme' }, requestId: decisionId, fingerprint: '' });
  expect([(await take('a.0')).kind, (await take('b.0')).kind, (await take('c.0')).kind]).toEqual([
    'taken',
    'taken',
    'refused',
  ]);
  await sleep(5);

  await control.rename(STREAM, ASIDE);
  await control.set(STREAM, 'something else');
  await expect(store.expire(100)).rejects.toThrow(CountersUnavailable);
  await expect(store.expire(100)).rejects.toThrow(CountersUnavailable);
  await control.del(STREAM);
  await control.rename(ASIDE, STREAM);

  expect(await store.expire(100)).toBe(2);
  const entries = (await control.xRange(STREAM, '-', '+')) ?? [];
  const types = entries.map(({ message }) => JSON.parse(message.e ?? '').type);
  expect(types.filter((type) => type === 'expired')).toHaveLength(2);
  expect((await take('d.0')).kind).toBe('taken');
  await Promise.all([store.close(), control.close()]);
});
