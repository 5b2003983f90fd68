import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { startSidecar, startWorker } from '../helpers/services.ts';
import { get, post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';

let redis: RedisServer;

beforeAll(async () => {
  redis = await startRedis();
}, BRING_TIMEOUT_MS);

/** Reads server-sent events into lists, by name. */
async function follow(
  url: string,
): Promise<{ comments: string[]; events: { name: string; data: string }[]; ended: Promise<void> }> {
  const ending = new AbortController();
  atTestEnd(() => ending.abort());
  const response = await fetch(url, { headers: { Authorization: 'Bearer admin' }, signal: ending.signal });
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  const comments: string[] = [];
  const events: { name: string; data: string }[] = [];
  const read = async () => {
    let rest = '';
    for await (const chunk of response.body ?? []) {
      const blocks = (rest + Buffer.from(chunk).toString()).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const name = /^event: (.*)$/m.exec(block)?.[1];
        if (name === undefined) comments.push(block);
        else events.push({ name, data: /^data: (.*)$/m.exec(block)?.[1] ?? '' });
      }
    }
  };
  return { comments, events, ended: read().catch(() => {}) };
}

test('whoever follows is told of each budget that moves, and of nothing else; a shutdown ends it', async () => {
  const configDir = join(await tempDir('config'), 'config');
  await cp(join(packageRoot, 'config'), configDir, { recursive: true });
  await writeFile(
    join(configDir, 'budgets.yaml'),
    'per_user_budgets: { default_limits: { daily_tokens: 50000, monthly_tokens: 100000 } }\n',
  );
  const { url: databaseUrl } = await createDatabase();
  const shared = { CONFIG_DIR: configDir, REDIS_URL: redis.url, ADMIN_TOKEN: 'admin', STORE_TIMEOUT_MS: '5000' };
  const sidecar = await startSidecar({ ...shared, DATA_DIR: await tempDir('data') });
  const worker = await startWorker({ ...shared, DATABASE_URL: databaseUrl, DATA_DIR: await tempDir('data') });
  expect((await get(`${worker.url}/api/admin/events`)).status).toBe(401);

  const first = await follow(`${worker.url}/api/admin/events`);
  const second = await follow(`${worker.url}/api/admin/events`);
  await eventually(() => expect([first.comments.length, second.comments.length]).toEqual([1, 1]));
  const ask = (input: object) => post(`${sidecar.url}/v1/data/openclaw/rate_limit/allow`, { input });
  await ask({ tenant_id: 'acme' });
  const { body } = await ask({ tenant_id: 'acme', user_id: 'alice', estimated_tokens: 1_000 });
  const { decision_id } = body;
  await post(`${sidecar.url}/v1/usage`, { decision_id, outcome: 'succeeded', usage: { input: 300, output: 100 } });

  for (const { events } of [first, second]) {
    await eventually(() => expect(events).toHaveLength(4));
    expect(events.map(({ name }) => name)).toEqual(['budget', 'budget', 'budget', 'budget']);
    const moves = events.map(({ data }) => JSON.parse(data));
    expect(moves).toMatchObject([
      {
        tenant_id: 'acme',
        user_id: 'alice',
        limit: 'user:alice:tokens:day',
        change: 1_000,
        used: 1_000,
        type: 'reserved',
      },
      { limit: 'user:alice:tokens:month', change: 1_000, used: 1_000, decision_id },
      { limit: 'user:alice:tokens:day', unit: 'tokens', change: -600, used: 400, type: 'settled' },
      { limit: 'user:alice:tokens:month', change: -600, used: 400 },
    ]);
    expect(moves.every(({ at }) => Math.abs(Date.parse(at) - Date.now()) < 60_000)).toBe(true);
  }

  const exit = worker.process.kill('SIGTERM');
  await first.ended;
  await second.ended;
  await exit;
  expect((await worker.process.exited).code).toBe(0);
});
