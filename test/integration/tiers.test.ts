import { once } from 'node:events';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import type { Answer } from '../../sidecar/decision/answer.ts';
import { readRequest } from '../../sidecar/decision/request.ts';
import { rateLimitHeaders } from '../../sidecar/routes/rate-limit-headers.ts';
import { scratchDecider } from '../../sidecar/simulation/scratch-decider.ts';
import { createScratchStore } from '../../sidecar/simulation/scratch-store.ts';
import { SimulatedClock } from '../../sidecar/simulation/simulated-clock.ts';
import { openPolicy } from '../../sidecar/workbench/open-policy.ts';
import { BRING_TIMEOUT_MS, bringNginx } from '../helpers/bring.ts';
import { fullLength } from '../helpers/full-length.ts';
import { startProcess } from '../helpers/process.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { startSidecar } from '../helpers/services.ts';
import { startShippedNginx } from '../helpers/shipped-gateways.ts';
import { inParallel } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';

let redis: RedisServer;

beforeAll(async () => {
  await bringNginx();
  redis = await startRedis();
}, BRING_TIMEOUT_MS);

const USERS = `users:
  - { id: sam, api_key: ak_sam_123, tenant: acme, tier: standard }
  - { id: pat, api_key: ak_pat_123, tenant: acme, tier: power }
  - { id: uma, api_key: ak_uma_123, tenant: acme, tier: unlimited }
  - { id: tim, api_key: ak_tim_123, tenant: acme, team: data, tier: unlimited }
  - { id: tea, api_key: ak_tea_123, tenant: acme, team: data, tier: unlimited }
`;

const teams = (...shares: number[]) =>
  `provider_limit: { requests_per_minute: 200, kept_back: 20 }
teams:
${['engineering', 'data', 'product'].map((name, n) => `  ${name}: { requests_per_minute: ${shares[n]} }`).join('\n')}
`;

async function configured(files: Record<string, string>): Promise<string> {
  const configDir = join(await tempDir('config'), 'config');
  await cp(join(packageRoot, 'config'), configDir, { recursive: true });
  const all = {
    'users.yaml': USERS,
    'tenants.yaml':
      'defaults: { capacity: 1000000, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month } }\n',
    ...files,
  };
  for (const [name, text] of Object.entries(all)) await writeFile(join(configDir, name), text);
  return configDir;
}

/** A gateway in front of something that answers everything. */
async function gateway(configDir: string): Promise<(user: string) => Promise<Response>> {
  const openclaw = createServer((_, response) => response.end('answered'));
  openclaw.listen(0, '127.0.0.1');
  await once(openclaw, 'listening');
  atTestEnd(() => {
    openclaw.closeAllConnections();
    openclaw.close();
  });
  const env = {
    CONFIG_DIR: configDir,
    DATA_DIR: await tempDir('data'),
    REDIS_URL: redis.url,
    STORE_TIMEOUT_MS: '5000',
  };
  const sidecar = await startSidecar(env);
  const { port } = openclaw.address() as AddressInfo;
  const nginx = await startShippedNginx({ openclaw: `127.0.0.1:${port}`, sidecar: new URL(sidecar.url).host });
  return (user) => fetch(nginx.url, { headers: { 'X-API-Key': `ak_${user}_123` } });
}

const statuses = async (ask: () => Promise<Response>, times: number) => {
  const answers = await inParallel(times, 8, async () => (await ask()).status);
  return {
    allowed: answers.filter((status) => status === 200).length,
    refused: answers.filter((s) => s === 429).length,
  };
};

test('standard has 30 requests a minute, power 100, unlimited all; a team shares what it is given', async () => {
  const ask = await gateway(await configured({ 'teams.yaml': teams(80, 60, 40) }));
  expect(await statuses(() => ask('sam'), 40)).toEqual({ allowed: 30, refused: 10 });
  expect(await statuses(() => ask('pat'), 110)).toEqual({ allowed: 100, refused: 10 });
  expect(await statuses(() => ask('uma'), 150)).toEqual({ allowed: 150, refused: 0 });
  const both = await Promise.all([statuses(() => ask('tim'), 40), statuses(() => ask('tea'), 40)]);
  expect(both.reduce((sum, { allowed }) => sum + allowed, 0)).toBe(60);

  const refused = await ask('sam');
  const wait = Number(refused.headers.get('retry-after'));
  expect(wait).toBeGreaterThan(30);
  expect(wait).toBeLessThanOrEqual(60);
  expect(refused.headers.get('ratelimit-policy')).toContain('"user:sam:requests";q=30;w=60');
  if (!fullLength) return;
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  await pause((wait - 2) * 1_000);
  expect((await ask('sam')).status).toBe(429);
  await pause(2_000);
  expect((await ask('sam')).status).toBe(200);
}, 150_000);

describe('how long to wait', () => {
  test('is right to the second', async () => {
    const configDir = await configured({});
    const bytes = await readFile(join(packageRoot, 'policies/dist/bundle.tar.gz'));
    const policy = await openPolicy({ bytes, name: 'shipped', configDir, variables: { POLICY_TIMEOUT_MS: '5000' } });
    atTestEnd(() => policy.close());
    const began = Date.parse('2026-03-01T10:00:00.400Z');
    const clock = new SimulatedClock(began);
    const { store } = createScratchStore({ clock });
    const decider = scratchDecider({ policy, store, clock });
    const ask = async () =>
      (await decider.decide(
        readRequest('openclaw/rate_limit', { tenant_id: 'acme', user_id: 'sam' }, undefined),
      )) as Answer;
    for (let n = 0; n < 30; n++) {
      clock.set(began + n * 1_000);
      expect((await ask()).decision.allow).toBe(true);
    }
    const refused = await ask();
    expect(refused.decision).toMatchObject({
      reason: 'rate_limited',
      status: 429,
      message:
        'This is beyond the per-minute allowance of 30 requests. The whole allowance is there again at 2026-03-01T10:01:00.400Z.',
    });
    const wait = Number(rateLimitHeaders(refused)['Retry-After']);
    expect(wait).toBe(31);
    clock.set(began + 29_000 + (wait - 1) * 1_000);
    expect((await ask()).decision.allow).toBe(false);
    clock.set(began + 29_000 + wait * 1_000);
    expect((await ask()).decision.allow).toBe(true);
  });
});

describe('a configuration', () => {
  const start = async (files: Record<string, string>) => {
    const env = {
      CONFIG_DIR: await configured(files),
      DATA_DIR: await tempDir('data'),
      REDIS_URL: redis.url,
      PORT: '0',
    };
    const process = await startProcess({ script: 'dist/sidecar/main.js', env });
    await Promise.race([process.exited, process.waitForLine(/sidecar is listening/)]);
    return process.output.join('\n');
  };

  test('that gives out no more than there is, works', async () => {
    expect(await start({ 'teams.yaml': teams(80, 60, 40) })).toContain('sidecar is listening');
  });

  test('that gives out more is refused, with the sum', async () => {
    expect(await start({ 'teams.yaml': teams(80, 60, 70) })).toMatch(
      /teams\.yaml:2:1: teams: 80 \+ 60 \+ 70 = 210 requests a minute are given out, but the provider's 200 less 20 kept back leave 180/,
    );
  });

  test('that names a tier that is not there is refused', async () => {
    expect(await start({ 'teams.yaml': 'default_tier: gold\n' })).toContain(
      'default_tier: there is no tier "gold"; there is standard, power, unlimited',
    );
    expect(await start({ 'users.yaml': 'users: [{ id: a, tier: gold }]\n' })).toContain(
      'users.yaml: a: there is no tier "gold"',
    );
  });
});
