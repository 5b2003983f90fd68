import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { createClient } from 'redis';
import { describe, expect, test } from 'vitest';
import type { UsageEvent } from '../../schemas/usage-event.ts';
import { startAllInOne } from '../helpers/all-in-one.ts';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { startSidecar, startWorker } from '../helpers/services.ts';
import { ask, get, inParallel, type Reply } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const FLOOD = fullLength ? 5_000 : 1_000;
const CALLERS = 64;
/** One of another user's after so many of the flood. */
const OTHERS_EACH = 1_000;
const KEPT_PER_SECOND = 10;

const MALLORY = { tenant_id: 'acme', user_id: 'mallory', agent_id: 'loop' };
const BOB = { tenant_id: 'acme', user_id: 'bob' };

/** Nothing is left of what acme may use. */
async function emptyBucket(): Promise<string> {
  const config = await tempDir();
  await writeFile(
    join(config, 'tenants.yaml'),
    `defaults: { capacity: 0, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month } }\n`,
  );
  return config;
}

/** Floods as mallory, and asks now and then as bob. Says how long it took at most. */
async function flood(sidecars: string[]): Promise<{ bobs: Reply[]; longestMs: number }> {
  const began = performance.now();
  const bobs: Promise<Reply>[] = [];
  const answers = await inParallel(FLOOD, CALLERS, (index) => {
    const sidecar = sidecars[index % sidecars.length] as string;
    if (index % OTHERS_EACH === 0) bobs.push(ask(sidecar, BOB));
    return ask(sidecar, MALLORY);
  });
  const all = [...answers, ...(await Promise.all(bobs))];
  expect(all.filter(({ body, status }) => status !== 200 || body.result !== false)).toEqual([]);
  return { bobs: await Promise.all(bobs), longestMs: performance.now() - began };
}

/** In each second that it touches, a process keeps 10 and writes one; and one more is written after the last. */
const mostEvents = (longestMs: number, processes: number) =>
  processes * (KEPT_PER_SECOND + 1) * (Math.floor(longestMs / 1_000) + 3);

const total = (events: { count: number }[]) => events.reduce((sum, { count }) => sum + count, 0);

test(`${FLOOD} denials of one caller at two sidecars: few events, every one counted, another caller's kept one by one`, {
  timeout: 180_000,
}, async () => {
  const [redis, database, config] = await Promise.all([startRedis(), createDatabase(), emptyBucket()]);
  const environment = {
    REDIS_URL: redis.url,
    DATABASE_URL: database.url,
    CONFIG_DIR: config,
    ADMIN_TOKEN: 'admin',
    STORE_TIMEOUT_MS: '10000',
  };
  const sidecars = await Promise.all([startSidecar(environment), startSidecar(environment)]);
  const client = await createClient({ url: redis.url }).connect();
  const { bobs, longestMs } = await flood(sidecars.map(({ url }) => url));
  // Nobody reads the stream yet, so all of it is there.
  const of = async (user: string): Promise<UsageEvent[]> => {
    const entries = await client.xRange('ocr:{p0}:usage', '-', '+');
    return (entries ?? []).map(({ message }) => JSON.parse(message.e ?? '')).filter(({ user_id }) => user_id === user);
  };
  const events = await eventually(
    async () => {
      const found = await of('mallory');
      expect(total(found)).toBe(FLOOD);
      return found;
    },
    { timeoutMs: 30_000 },
  );
  expect(events.length).toBeLessThanOrEqual(mostEvents(longestMs, sidecars.length));
  expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
  const counted = events.filter(({ count }) => count > 1);
  expect(counted.length).toBeGreaterThan(0);
  for (const event of counted) expect(event).toMatchObject({ ...MALLORY, outcome: { reason: 'rate_limited' } });
  expect((await of('bob')).map(({ count, decision_id }) => `${decision_id} ${count}`).toSorted()).toEqual(
    bobs.map(({ body }) => `${body.decision_id} 1`).toSorted(),
  );

  const worker = await startWorker(environment);
  const usage = async (query: string) => {
    const { body } = await get(`${worker.url}/v1/usage?tenant_id=acme&${query}`, { Authorization: 'Bearer admin' });
    return body.data;
  };
  const expected = [
    { user_id: 'bob', requests: 0, denied: FLOOD / OTHERS_EACH, cost_usd: '0.00' },
    { user_id: 'mallory', requests: 0, denied: FLOOD, cost_usd: '0.00' },
  ];
  await eventually(async () => expect(await usage('group_by=user')).toMatchObject(expected), { timeoutMs: 30_000 });
  expect(await usage('group_by=user&from=2000-01-01T00:00:00Z')).toMatchObject(expected);
  const sql = postgres(database.url, { max: 1 });
  const [row] =
    await sql`select count(*)::int as rows, sum(denied)::int as denied from usage_events where user_id = 'mallory'`;
  await sql.end();
  await client.close();
  expect(row).toEqual({ rows: events.length, denied: FLOOD });
});

describe('on the embedded stores', () => {
  test.runIf(fullLength)(
    `${FLOOD} denials of one caller are all counted, those of the last second after the process was ended`,
    {
      timeout: 180_000,
    },
    async () => {
      const environment = { CONFIG_DIR: await emptyBucket(), DATA_DIR: await tempDir(), STORE_TIMEOUT_MS: '10000' };
      const first = await startAllInOne(environment);
      await flood([first.sidecar]);
      await first.process.kill('SIGTERM');
      expect(await first.process.exited).toEqual({ code: 0, signal: null });

      const again = await startAllInOne(environment);
      await eventually(
        async () => {
          const { body } = await get(`${again.billing}/v1/usage?tenant_id=acme&group_by=user`, {
            Authorization: `Bearer ${again.adminToken}`,
          });
          expect(body.data).toMatchObject([
            { user_id: 'bob', denied: FLOOD / OTHERS_EACH },
            { user_id: 'mallory', denied: FLOOD },
          ]);
        },
        { timeoutMs: 30_000 },
      );
    },
  );
});
