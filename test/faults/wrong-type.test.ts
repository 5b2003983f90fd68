import { pino } from 'pino';
import { createClient } from 'redis';
import { beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../runtime/clock.ts';
import { planSchema } from '../../schemas/policy-io.ts';
import { CountersUnavailable } from '../../sidecar/counters/contract.ts';
import { connectRedis } from '../../sidecar/counters/redis/connection.ts';
import { loadScripts } from '../../sidecar/counters/redis/scripts.ts';
import { RedisStore } from '../../sidecar/counters/redis/store.ts';
import { BRING_TIMEOUT_MS, bringRedis } from '../helpers/bring.ts';
import { SETTINGS } from '../helpers/counter-settings.ts';
import { startRedis } from '../helpers/redis-server.ts';

const plan = planSchema.parse({
  limits: [
    {
      id: 'bucket',
      subject: { type: 'tenant', id: 'acme' },
      unit: 'tokens',
      kind: 'token_bucket',
      capacity: 100,
      cost: 5,
      settles: true,
      refill: { amount: 100, per_seconds: 86_400, mode: 'interval' },
    },
  ],
});

const KEYS = { stream: 'ocr:{p0}:usage', counter: 'ocr:{p0}:c:acme:tenant:acme', open: 'ocr:{p0}:open' };

beforeAll(bringRedis, BRING_TIMEOUT_MS);

// Redis keeps what a script wrote before it failed: so nothing may be written before everything is known to be sound.
test.each(Object.entries(KEYS))(
  'C5 a %s key of another type: no take and no settle changes anything',
  async (_, key) => {
    const redis = await startRedis({ args: ['--enable-debug-command', 'yes'] });
    const control = await createClient({ url: redis.url }).connect();
    const connection = await connectRedis(redis.url, 10_000, pino({ level: 'silent' }));
    const store = new RedisStore(connection, loadScripts(), systemClock, SETTINGS);
    const take = (decisionId: string) =>
      store.take({ decisionId, plan, event: { tenant_id: 'acme' }, requestId: decisionId, fingerprint: '' });
    await take('before.0');

    await control.del(key);
    await control.set(key, 'something else');
    const all = async () => {
      const names = (await control.keys('*')).toSorted();
      return Promise.all(names.map(async (name) => [name, await control.sendCommand(['DEBUG', 'DIGEST-VALUE', name])]));
    };
    const before = await all();
    await expect(take('after.0')).rejects.toThrow(CountersUnavailable);
    await expect(
      store.settle({ decisionId: 'before.0', kind: 'settle', actual: { tokens: 9 }, fingerprint: 'report' }),
    ).rejects.toThrow(CountersUnavailable);
    expect(await all()).toEqual(before);
    await Promise.all([store.close(), control.close()]);
  },
);
