import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from 'redis';
import { beforeAll, describe, expect, test } from 'vitest';
import { startAllInOne } from '../helpers/all-in-one.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startProcess } from '../helpers/process.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { startSidecar, startWorker } from '../helpers/services.ts';
import { ask, get, inParallel } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { startUpstash, type UpstashServer } from '../helpers/upstash-server.ts';

/** The real programs, with their counters and their usage stream on Upstash. */
const CAPACITY = 700;
const REQUESTS = 1_000;
const CALLERS = 256;

let redis: RedisServer;

beforeAll(async () => {
  redis = await startRedis();
}, BRING_TIMEOUT_MS);

async function settings(upstash: UpstashServer) {
  const config = await tempDir('config');
  await writeFile(
    join(config, 'tenants.yaml'),
    `defaults: { capacity: ${CAPACITY}, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month } }\n`,
  );
  return {
    UPSTASH_REDIS_REST_URL: upstash.url,
    UPSTASH_REDIS_REST_TOKEN: upstash.token,
    DATABASE_URL: (await createDatabase()).url,
    CONFIG_DIR: config,
    ADMIN_TOKEN: 'admin',
    STORE_TIMEOUT_MS: '10000',
  };
}

const usageOf = async (worker: string, tenant: string) =>
  (await get(`${worker}/v1/usage?tenant_id=${tenant}`, { Authorization: 'Bearer admin' })).body.data[0];

test(`${CALLERS} callers at two sidecars: exactly the capacity is allowed, for fewer requests than decisions, and rolled up`, {
  timeout: 180_000,
}, async () => {
  const upstash = await startUpstash(redis);
  const environment = await settings(upstash);
  const [first, second] = await Promise.all([startSidecar(environment), startSidecar(environment)]);
  const askAll = (tenant: string) =>
    inParallel(REQUESTS, CALLERS, (index) => ask((index % 2 ? first : second).url, { tenant_id: tenant }));
  // Sidecars that have just started decide more slowly than Upstash answers, so that there is nothing to join.
  await askAll('warm-up');
  const before = upstash.requests;
  const answers = await askAll('acme');
  // How many are joined depends on how fast they come; 256 at once are held to 0.2 in the conformance suite.
  expect(upstash.requests - before).toBeLessThan(REQUESTS);
  expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  expect(answers.filter(({ body }) => body.result === true)).toHaveLength(CAPACITY);

  const worker = await startWorker(environment);
  const rolledUp = { requests: CAPACITY, tokens: CAPACITY, denied: REQUESTS - CAPACITY, cost_usd: '0.07' };
  await eventually(async () => expect(await usageOf(worker.url, 'acme')).toMatchObject(rolledUp), {
    timeoutMs: 30_000,
  });
  const client = await createClient({ url: redis.url }).connect();
  await eventually(async () => expect(await client.xLen('ocr:{p0}:usage')).toBe(0), { timeoutMs: 30_000 });
  await client.close();
});

test('`npm start` runs both on it, and says so', { timeout: 120_000 }, async () => {
  const upstash = await startUpstash(redis);
  const all = await startAllInOne({ ...(await settings(upstash)), DATA_DIR: await tempDir('data') });
  await all.process.waitForLine(/counters: Upstash/);
  expect((await ask(all.sidecar, { tenant_id: 'umbrella' })).body.result).toBe(true);
  await eventually(async () => expect(await usageOf(all.billing, 'umbrella')).toMatchObject({ requests: 1 }));
  expect(all.process.output.join('\n')).not.toContain(upstash.token);
});

test('a sidecar whose Upstash is away denies at once with the reason, and goes on when it is back', {
  timeout: 60_000,
}, async () => {
  const upstash = await startUpstash(redis);
  const { process, url } = await startSidecar({ ...(await settings(upstash)), STORE_TIMEOUT_MS: '250' });
  expect((await ask(url, { tenant_id: 'hooli' })).body.result).toBe(true);
  await upstash.stop();
  const { body } = await ask(url, { tenant_id: 'hooli' }, 'decision');
  expect(body.result).toMatchObject({ allow: false, reason: 'counters_unavailable' });
  expect((await get(`${url}/health`)).status).toBe(500);
  await upstash.listen();
  await eventually(async () => expect((await ask(url, { tenant_id: 'hooli' })).body.result).toBe(true));
  expect(process.output.join('\n')).not.toContain(upstash.token);
});

describe('refused at the start', { timeout: 60_000 }, () => {
  async function ended(environment: Record<string, string>) {
    const process = await startProcess({ script: 'dist/sidecar/main.js', env: { PORT: '0', ...environment } });
    const { code } = await process.exited;
    expect(code).toBe(1);
    return process.output.join('\n');
  }

  test('a token that Upstash does not accept', async () => {
    const environment = await settings(await startUpstash(redis));
    const said = await ended({ ...environment, UPSTASH_REDIS_REST_TOKEN: 'AXwrong' });
    expect(said).toMatch(/^cannot start:\n {2}environment: UPSTASH_REDIS_REST_TOKEN is refused by .*WRONGPASS/m);
    expect(said).not.toContain('AXwrong');
    expect(said).not.toMatch(/^ +at /m);
  });

  test('a database that evicts', async () => {
    const own = await startRedis({ args: ['--maxmemory-policy', 'allkeys-random'] });
    const environment = await settings(await startUpstash(own));
    expect(await ended(environment)).toMatch(/evicts keys.*switch Eviction off/);
  });

  test('no store at all', async () => {
    expect(await ended({})).toContain(
      'REDIS_URL, REDIS_CLUSTER_URLS, or UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN, must be set',
    );
  });
});

test('an Upstash that was away at the start, and then does not accept the token, ends the process', {
  timeout: 60_000,
}, async () => {
  const upstash = await startUpstash(redis);
  const environment = await settings(upstash);
  await upstash.stop();
  const { process, url } = await startSidecar({ ...environment, UPSTASH_REDIS_REST_TOKEN: 'AXwrong' });
  expect((await ask(url, { tenant_id: 'acme' })).body.result).toBe(false);
  await upstash.listen();
  const asking = setInterval(() => void ask(url, { tenant_id: 'acme' }).catch(() => undefined), 50);
  await process.waitForLine(/^cannot go on/);
  clearInterval(asking);
  const { code } = await process.exited;
  expect(code).toBe(1);
  expect(process.output.join('\n')).toMatch(/^cannot go on:\n {2}environment: UPSTASH_REDIS_REST_TOKEN is refused/m);
});
