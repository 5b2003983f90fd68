import { createClient } from 'redis';
import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { startSidecar, startWorker } from '../helpers/services.ts';
import { ask, get } from '../helpers/sidecar-client.ts';
import { startProxy } from '../helpers/tcp-proxy.ts';

test('a sidecar killed after the take and before its reply: the retry gets the answer, and is charged once', {
  timeout: 120_000,
}, async () => {
  const [redis, database] = await Promise.all([startRedis({}), createDatabase()]);
  const proxy = await startProxy({ target: { host: '127.0.0.1', port: redis.port } });
  const environment = { DATABASE_URL: database.url, ADMIN_TOKEN: 'admin', STORE_TIMEOUT_MS: '30000' };
  const doomed = await startSidecar({ ...environment, REDIS_URL: `redis://127.0.0.1:${proxy.port}` });
  const input = { tenant_id: 'acme', request_id: 'order-1' };
  const client = await createClient({ url: redis.url }).connect();
  expect((await ask(doomed.url, { tenant_id: 'warm-up' })).body.result).toBe(true);
  const before = await client.xLen('ocr:{p0}:usage');

  proxy.hold('toClient');
  const lost = ask(doomed.url, input).catch((error: Error) => error);
  await eventually(async () => expect(await client.xLen('ocr:{p0}:usage')).toBe(before + 1), { timeoutMs: 10_000 });
  await doomed.process.kill('SIGKILL');
  expect(await lost).toBeInstanceOf(Error);
  await proxy.close();

  const next = await startSidecar({ ...environment, REDIS_URL: redis.url });
  const retried = await ask(next.url, input);
  expect(retried.body).toMatchObject({ result: true, replayed: true });
  expect((await ask(next.url, { ...input, model: 'another' })).status).toBe(409);
  expect(await client.xLen('ocr:{p0}:usage')).toBe(before + 1);

  const worker = await startWorker({ ...environment, REDIS_URL: redis.url });
  await eventually(
    async () => {
      const { body } = await get(`${worker.url}/v1/usage?tenant_id=acme`, { Authorization: 'Bearer admin' });
      expect(body.data[0]).toMatchObject({ requests: 1, tokens: 1, cost_usd: '0.0001' });
    },
    { timeoutMs: 30_000 },
  );
  await client.close();
});
