import { createClient, type RedisClientType } from 'redis';
import { beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/free-port.ts';
import { fullLength } from '../helpers/full-length.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startWorker } from '../helpers/services.ts';
import { startProxy } from '../helpers/tcp-proxy.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { billed, chunks, usageEvent } from './events.ts';

const KEY = 'ocr:{p0}:usage';
const KILLS = fullLength ? 10 : 2;

let server: RedisServer;
let redis: RedisClientType;

beforeEach(async () => {
  server = await startRedis();
  redis = createClient({ url: server.url });
  redis.on('error', () => {});
  await redis.connect();
  atTestEnd(() => redis.destroy());
});

async function add(count: number): Promise<void> {
  const now = Date.now();
  const events = Array.from({ length: count }, (_, i) =>
    usageEvent({ user_id: `user-${i % 9}`, limits: [billed(1)], decided_at: now, at: now }),
  );
  for (const some of chunks(events, 1_000)) {
    await Promise.all(some.map((event) => redis.xAdd(KEY, '*', { e: JSON.stringify(event) })));
  }
}

/** How many requests of this month the worker answers with, from its rollups and from its ledger. */
async function requests(worker: Service): Promise<{ rollups: number; ledger: number }> {
  const ask = async (period: string) => {
    const answer = await fetch(`${worker.url}/v1/usage?${period}`, { headers: { Authorization: 'Bearer admin' } });
    const { data } = (await answer.json()) as { data: { requests: number }[] };
    return data[0]?.requests ?? 0;
  };
  return { rollups: await ask('tenant_id=acme'), ledger: await ask('tenant_id=acme&from=2026-01-01T00:00:00Z') };
}

const STORES = [
  {
    name: 'PostgreSQL',
    environment: async () => {
      const { drop, url } = await createDatabase();
      atTestEnd(drop);
      return { DATABASE_URL: url };
    },
  },
  { name: 'PGlite', environment: async () => ({ DATA_DIR: await tempDir('data') }) },
];

// What is told of PGlite beside this, that it loses nothing, is in embedded.test.ts.
describe.each(fullLength ? STORES : STORES.slice(0, 1))(
  'a worker on $name that is killed with -9',
  ({ environment }) => {
    const variables = async (redisUrl: string): Promise<Record<string, string>> => ({
      ADMIN_TOKEN: 'admin',
      // The same at each start: by its port a worker knows what it had taken.
      BILLING_PORT: String(await freePort()),
      REDIS_URL: redisUrl,
      ...(await environment()),
    });

    test('at random moments loses nothing and doubles nothing', { timeout: 180_000 }, async () => {
      const env = await variables(server.url);
      const total = fullLength ? 30_000 : 15_000;
      await add(total);
      let undone = 0;
      for (let kill = 0; kill < KILLS; kill++) {
        const worker = await startWorker(env);
        await new Promise((resolve) => setTimeout(resolve, 50 + Math.random() * 300));
        await worker.process.kill('SIGKILL');
        if ((await redis.xPending(KEY, 'ledger')).pending > 0) undone++;
      }
      const worker = await startWorker(env);
      await eventually(async () => expect(await redis.xLen(KEY)).toBe(0), { timeoutMs: 60_000 });
      expect(await requests(worker)).toEqual({ rollups: total, ledger: total });
      // Else the kills came too early or too late to show anything.
      expect(undone).toBeGreaterThan(0);
    });

    test('after COMMIT and before its acknowledgement gets the same entries again, and changes nothing', {
      timeout: 120_000,
    }, async () => {
      const proxy = await startProxy({ target: { host: server.host, port: server.port } });
      const env = await variables(proxy.url(server.url));
      const drop = proxy.dropCommand('XACK');
      await add(500);
      const doomed = await startWorker(env);
      const [, , , ...ids] = await drop.dropped;
      expect(ids).toHaveLength(500);
      expect(await requests(doomed)).toEqual({ rollups: 500, ledger: 500 });
      await doomed.process.kill('SIGKILL');
      expect((await redis.xPending(KEY, 'ledger')).pending).toBe(500);
      const worker = await startWorker(env);
      await eventually(async () => expect(await redis.xLen(KEY)).toBe(0), { timeoutMs: 30_000 });
      expect(await requests(worker)).toEqual({ rollups: 500, ledger: 500 });
    });
  },
);
