import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { createClient } from 'redis';
import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { startSidecar, startWorker } from '../helpers/services.ts';
import { ask, get, inParallel } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const CAPACITY = 1_000;
const CALLERS = 64;
const REQUESTS = 3_000;

test('64 callers at two sidecars: exactly the capacity is allowed, metered and rolled up', {
  timeout: 180_000,
}, async () => {
  const config = await tempDir();
  await writeFile(
    join(config, 'tenants.yaml'),
    `defaults: { capacity: ${CAPACITY}, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month } }\n`,
  );
  const [redis, database] = await Promise.all([startRedis({}), createDatabase()]);
  const environment = {
    REDIS_URL: redis.url,
    DATABASE_URL: database.url,
    CONFIG_DIR: config,
    ADMIN_TOKEN: 'admin',
    STORE_TIMEOUT_MS: '10000',
  };
  const [first, second, worker] = await Promise.all([
    startSidecar(environment),
    startSidecar(environment),
    startWorker(environment),
  ]);

  const answers = await inParallel(REQUESTS, CALLERS, (index) =>
    ask((index % 2 ? first : second).url, { tenant_id: 'acme' }),
  );
  expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  const allowed = answers.filter(({ body }) => body.result === true);
  expect(allowed).toHaveLength(CAPACITY);

  const usage = await eventually(
    async () => {
      const { body } = await get(`${worker.url}/v1/usage?tenant_id=acme`, { Authorization: 'Bearer admin' });
      expect(body.data[0]).toMatchObject({ requests: CAPACITY, tokens: CAPACITY, denied: REQUESTS - CAPACITY });
      return body;
    },
    { timeoutMs: 30_000 },
  );
  expect(usage.data).toHaveLength(1);

  const sql = postgres(database.url, { max: 1 });
  const rows = await sql`select decision_id from usage_events where type = 'consumed'`;
  await sql.end();
  expect(rows.map((row) => row.decision_id).toSorted()).toEqual(allowed.map(({ body }) => body.decision_id).toSorted());

  const client = await createClient({ url: redis.url }).connect();
  await eventually(async () => expect(await client.xLen('ocr:{p0}:usage')).toBe(0), { timeoutMs: 30_000 });
  await client.close();
});
