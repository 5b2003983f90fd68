import postgres from 'postgres';
import { createClient } from 'redis';
import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/free-port.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { startSidecar, startWorker } from '../helpers/services.ts';
import { ask, inParallel } from '../helpers/sidecar-client.ts';
import { startProxy } from '../helpers/tcp-proxy.ts';

const REQUESTS = 100;

test('a worker killed after COMMIT and before XACK: the entries come again, and change nothing', {
  timeout: 120_000,
}, async () => {
  const [redis, database] = await Promise.all([startRedis({}), createDatabase()]);
  const proxy = await startProxy({ target: { host: '127.0.0.1', port: redis.port } });
  const environment = {
    DATABASE_URL: database.url,
    ADMIN_TOKEN: 'admin',
    STORE_TIMEOUT_MS: '10000',
    BILLING_PORT: String(await freePort()),
  };
  const sidecar = await startSidecar({ ...environment, REDIS_URL: redis.url });
  await inParallel(REQUESTS, 16, () => ask(sidecar.url, { tenant_id: 'acme' }));
  const client = await createClient({ url: redis.url }).connect();
  const sql = postgres(database.url, { max: 1, onnotice: () => {} });

  proxy.dropCommand('XACK');
  const doomed = await startWorker({ ...environment, REDIS_URL: `redis://127.0.0.1:${proxy.port}` });
  await eventually(
    async () => {
      const [row] = await sql`select count(*)::int as n from usage_events`;
      expect(row?.n).toBe(REQUESTS);
    },
    { timeoutMs: 30_000 },
  );
  const pending = await client.xPending('ocr:{p0}:usage', 'ledger');
  expect(pending.pending).toBe(REQUESTS);
  await doomed.process.kill('SIGKILL');
  await proxy.close();

  await startWorker({ ...environment, REDIS_URL: redis.url });
  await eventually(async () => expect((await client.xPending('ocr:{p0}:usage', 'ledger')).pending).toBe(0), {
    timeoutMs: 60_000,
  });
  const [ledger] = await sql`select count(*)::int as n, count(distinct id)::int as ids from usage_events`;
  expect(ledger).toEqual({ n: REQUESTS, ids: REQUESTS });
  const [rollup] = await sql`select sum(requests)::int as requests, sum(tokens)::int as tokens from usage_rollups`;
  expect(rollup).toEqual({ requests: REQUESTS, tokens: REQUESTS });
  await Promise.all([client.close(), sql.end()]);
});
