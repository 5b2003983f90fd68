import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AllInOne, startAllInOne } from '../helpers/all-in-one.ts';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { ask, get, inParallel, post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';

/**
 * The tutorial, as a newcomer types it: a bucket of 10,000 tokens, emptied to the last one, and a bill for them.
 * Once on the embedded stores, once on a real Redis and a real PostgreSQL.
 */
const stores = {
  'the embedded stores': async () => ({ variables: {}, stop: async () => {} }),
  'Redis and PostgreSQL': async () => {
    const [redis, database] = await Promise.all([startRedis({}), createDatabase()]);
    return {
      variables: { REDIS_URL: redis.url, DATABASE_URL: database.url },
      stop: async () => void (await Promise.all([redis.stop(), database.drop()])),
    };
  },
};

/** What each of so many requests in one batch was answered. */
async function askTogether(sidecar: string, tenant: string, count: number): Promise<unknown[]> {
  const inputs = Object.fromEntries(Array.from({ length: count }, (_, n) => [String(n), { tenant_id: tenant }]));
  const { body } = await post(`${sidecar}/v1/batch/data/openclaw/rate_limit/allow`, { inputs });
  return Object.values(body.responses as Record<string, { result?: unknown }>).map(({ result }) => result);
}

describe.each(Object.entries(stores).slice(0, fullLength ? undefined : 1))('on %s', (_, open) => {
  let environment: Record<string, string>;
  let running: AllInOne;
  let stop: () => Promise<void>;

  beforeAll(async () => {
    const opened = await open();
    stop = opened.stop;
    environment = { DATA_DIR: await tempDir(), STORE_TIMEOUT_MS: '10000', ...opened.variables };
    running = await startAllInOne(environment);
  }, 120_000);

  afterAll(async () => {
    await running?.process.stop();
    await stop?.();
  });

  const used = async (tenant: string) => {
    const { body } = await get(`${running.billing}/v1/usage?tenant_id=${tenant}`, {
      Authorization: `Bearer ${running.adminToken}`,
    });
    return body;
  };

  const emptied = async () => {
    const body = await used('acme');
    expect(body.data[0]).toMatchObject({ tenant_id: 'acme', requests: 10_000, tokens: 10_000, cost_usd: '1.00' });
    return body;
  };

  test('10,000 requests are allowed, the next is not, and says when to come again', { timeout: 120_000 }, async () => {
    // In the short run most of them a hundred at a time: the counters know no difference.
    const single = fullLength ? 10_000 : 1_000;
    const batches = await inParallel((10_000 - single) / 100, 4, () => askTogether(running.sidecar, 'acme', 100));
    const answers = await inParallel(single, 64, () => ask(running.sidecar, { tenant_id: 'acme' }));
    expect(answers.filter(({ body }) => body.result === true)).toHaveLength(single);
    expect(batches.flat().filter((result) => result === true)).toHaveLength(10_000 - single);

    const refused = await ask(running.sidecar, { tenant_id: 'acme' });
    expect(refused.status).toBe(200);
    expect(refused.body).toEqual({ result: false, decision_id: expect.stringMatching(/^[0-9a-f-]{36}\.0$/) });
    expect(refused.headers.get('RateLimit-Policy')).toBe('"tenant:acme:tokens";q=10000;w=86400');
    expect(refused.headers.get('RateLimit')).toMatch(/^"tenant:acme:tokens";r=0;t=\d+$/);
    const wait = Number(refused.headers.get('Retry-After'));
    expect(wait).toBeGreaterThan(86_000);
    expect(wait).toBeLessThanOrEqual(86_400);
  });

  test('another tenant is still allowed', async () => {
    expect((await ask(running.sidecar, { tenant_id: 'globex' })).body.result).toBe(true);
  });

  test('what was consumed is in the ledger, summed for the billing cycle', async () => {
    const { cycle } = await eventually(emptied, { timeoutMs: 30_000 });
    expect(Date.parse(cycle.end)).toBeGreaterThan(Date.now());
    expect(cycle.start).toMatch(/-01T00:00:00\.000Z$/);
  });

  test('ended cleanly and started again, it remembers bucket and ledger', { timeout: 120_000 }, async () => {
    await running.process.kill('SIGINT');
    expect(await running.process.exited).toEqual({ code: 0, signal: null });

    running = await startAllInOne(environment);
    expect((await ask(running.sidecar, { tenant_id: 'acme' })).body.result).toBe(false);
    await eventually(emptied, { timeoutMs: 30_000 });
  });
});
