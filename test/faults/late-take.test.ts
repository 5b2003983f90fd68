import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { createClient } from 'redis';
import { expect, test } from 'vitest';
import { systemClock } from '../../runtime/clock.ts';
import { planSchema } from '../../schemas/policy-io.ts';
import { CountersUnavailable } from '../../sidecar/counters/contract.ts';
import { connectRedis } from '../../sidecar/counters/redis/connection.ts';
import { loadScripts } from '../../sidecar/counters/redis/scripts.ts';
import { RedisStore } from '../../sidecar/counters/redis/store.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { SETTINGS } from '../helpers/counter-settings.ts';
import { startRedis } from '../helpers/redis-server.ts';

const TIMEOUT_MS = 300;

const plan = planSchema.parse({
  limits: [
    {
      id: 'bucket',
      subject: { type: 'tenant', id: 'acme' },
      unit: 'tokens',
      kind: 'token_bucket',
      capacity: 100,
      cost: 1,
      refill: { amount: 100, per_seconds: 86_400, mode: 'interval' },
    },
  ],
});

test('a Redis that is stopped and goes on after nobody waits any more charges nothing', {
  timeout: BRING_TIMEOUT_MS,
}, async () => {
  const redis = await startRedis();
  const log = pino({ level: 'silent' });
  const connection = await connectRedis(redis.url, TIMEOUT_MS, log);
  const store = new RedisStore(connection, loadScripts(), systemClock, { ...SETTINGS, timeoutMs: TIMEOUT_MS });
  const take = (n: number) =>
    store.take({ decisionId: `d${n}.0`, plan, event: { tenant_id: 'acme' }, fingerprint: '' });
  expect((await take(0)).kind).toBe('taken');

  await redis.kill('SIGSTOP');
  const late = await Promise.allSettled([take(1), take(2), take(3)]);
  expect(late.map((one) => one.status === 'rejected' && one.reason instanceof CountersUnavailable)).toEqual([
    true,
    true,
    true,
  ]);
  await sleep(TIMEOUT_MS);
  await redis.kill('SIGCONT');

  const control = await createClient({ url: redis.url }).connect();
  // What was sent meanwhile has been carried out once this is answered, on a connection that came after it.
  await expect
    .poll(async () => (await control.info('commandstats')).match(/cmdstat_evalsha:calls=(\d+)/)?.[1])
    .toBeDefined();
  await sleep(TIMEOUT_MS);
  expect(await control.xLen('ocr:{p0}:usage')).toBe(1);
  const { outcome } = await store.peek(plan, 'acme');
  expect(outcome.limits[0]?.before).toBe(1);
  expect((await take(4)).kind).toBe('taken');
  await Promise.all([store.close(), control.close()]);
});
