import { cp, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { get, inParallel, post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';

let redis: RedisServer;

beforeAll(async () => {
  redis = await startRedis();
}, BRING_TIMEOUT_MS);

const BUDGETS = `
per_user_budgets:
  default_limits: { daily_tokens: 1000 }
  warnings: [{ at_percent: 75, message: "75" }, { at_percent: 90, message: "90" }]
  on_limit_exceeded: { action: soft_limit, soft_limit: { message: soft, notify_admin: true } }
`;

test('each threshold is told to the admin once, by whichever sidecar crosses it, in a decision or a report', async () => {
  const told: string[] = [];
  const server = createServer(async (request, response) => {
    told.push(JSON.parse(await text(request)).text);
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atTestEnd(() => void server.close());
  const { port } = server.address() as AddressInfo;

  const configDir = join(await tempDir('config'), 'config');
  await cp(join(packageRoot, 'config'), configDir, { recursive: true });
  await writeFile(join(configDir, 'budgets.yaml'), BUDGETS);
  const env = {
    CONFIG_DIR: configDir,
    REDIS_URL: redis.url,
    NOTIFY_SLACK_URL: `http://127.0.0.1:${port}/T0/B0/secret`,
    STORE_TIMEOUT_MS: '5000',
  };
  const sidecars = [
    await startSidecar({ ...env, DATA_DIR: await tempDir('data') }),
    await startSidecar({ ...env, DATA_DIR: await tempDir('data') }),
  ] as [Service, Service];
  const ask = async ({ url }: Service, user_id: string, estimated_tokens: number) => {
    const input = { tenant_id: 'acme', user_id, estimated_tokens };
    return (await post(`${url}/v1/data/openclaw/rate_limit/decision`, { input })).body;
  };

  // 100 at once at both: 800 of 1,000, then beyond.
  await inParallel(80, 16, (n) => ask(sidecars[n % 2 ? 1 : 0], 'alice', 10));
  await eventually(() => expect(told).toHaveLength(1));
  expect(told[0]).toMatch(/^alice \(acme\): user:alice:tokens:day has reached 75 %: \d+ of 1000 used\.$/);
  await inParallel(40, 16, (n) => ask(sidecars[n % 2 ? 1 : 0], 'alice', 10));
  await eventually(() => expect(told).toHaveLength(3));
  // Of two sidecars either may be the first to be heard.
  expect(
    told
      .slice(1)
      .map((line) => /(\d+) %/.exec(line)?.[1])
      .sort(),
  ).toEqual(['100', '90']);

  const { decision_id } = await ask(sidecars[0], 'bob', 100);
  const report = { decision_id, tenant_id: 'acme', outcome: 'succeeded', usage: { input: 950 } };
  for (const { url } of sidecars) expect((await post(`${url}/v1/usage`, report)).status).toBe(200);
  await eventually(() => expect(told).toHaveLength(5));
  expect(told.slice(3).sort()).toEqual([
    'acme: user:bob:tokens:day has reached 75 %.',
    'acme: user:bob:tokens:day has reached 90 %.',
  ]);
  const sent = async ({ url }: Service) =>
    Number(
      /openclaw_notices_total\{target="slack",result="sent"\} (\d+)/.exec((await get(`${url}/metrics`)).body)?.[1],
    );
  expect((await sent(sidecars[0])) + (await sent(sidecars[1]))).toBe(5);
  for (const { process } of sidecars) expect(process.output.join('\n')).not.toContain('secret');
});
