import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { createClient } from 'redis';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../runtime/config/files.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { Granted } from '../../sidecar/admin/granted.ts';
import { adminRoutes } from '../../sidecar/admin/routes.ts';
import { readRequest } from '../../sidecar/decision/request.ts';
import { Identities } from '../../sidecar/identity/identities.ts';
import { KeyChanges } from '../../sidecar/keys/changes.ts';
import { HealthView } from '../../sidecar/providers/health-view.ts';
import { scratchDecider } from '../../sidecar/simulation/scratch-decider.ts';
import { createScratchStore } from '../../sidecar/simulation/scratch-store.ts';
import { SimulatedClock } from '../../sidecar/simulation/simulated-clock.ts';
import { openPolicy } from '../../sidecar/workbench/open-policy.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { identitiesOn } from '../helpers/identities.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { get, post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';

let redis: RedisServer;
let client: ReturnType<typeof createClient>;

beforeAll(async () => {
  redis = await startRedis();
  client = createClient({ url: redis.url });
  await client.connect();
}, BRING_TIMEOUT_MS);

beforeEach(async () => {
  await client.flushAll();
});

afterAll(() => client.destroy());

/** As it is printed for users. */
const USERS = `
user_identification: { method: api_key }
users:
  - { id: user_alice, api_key: ak_alice_… }
  - { id: user_bob,   api_key: ak_bob_… }
`;

const BUDGETS = `
per_user_budgets:
  enabled: true
  default_limits: { daily_tokens: 50000, monthly_tokens: 1000000 }
  user_overrides:
    user_alice: { daily_tokens: 100000, monthly_tokens: 2000000 }
    user_bob:   { daily_tokens: 25000,  monthly_tokens: 500000 }
`;

const soft = `${BUDGETS}  on_limit_exceeded: { action: soft_limit }\n`;

async function start(files: Record<string, string>): Promise<Service> {
  const configDir = join(await tempDir('config'), 'config');
  await cp(join(packageRoot, 'config'), configDir, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(configDir, name), text);
  return startSidecar({
    CONFIG_DIR: configDir,
    DATA_DIR: await tempDir('data'),
    REDIS_URL: redis.url,
    ADMIN_TOKEN: 'admin',
    STORE_TIMEOUT_MS: '5000',
  });
}

const ADMIN = { Authorization: 'Bearer admin' };

const report = async ({ url }: Service, query = '') => (await get(`${url}/api/admin/budgets${query}`, ADMIN)).body;

const ask = ({ url }: Service, input: object, document = 'decision') =>
  post(`${url}/v1/data/openclaw/rate_limit/${document}`, { input: { tenant_id: 'acme', ...input } });

test('is what is printed, field by field', async () => {
  const configDir = join(await tempDir('config'), 'config');
  await cp(join(packageRoot, 'config'), configDir, { recursive: true });
  await writeFile(join(configDir, 'users.yaml'), USERS);
  await writeFile(join(configDir, 'budgets.yaml'), soft);
  const config = loadConfig(configDir);
  const clock = new SimulatedClock(Date.parse('2026-03-14T12:00:00Z'));
  const { store } = createScratchStore({ clock });
  const log = pino({ level: 'silent' });
  const identities = await Identities.open({ ...identitiesOn({ store, clock }), tokens: undefined, configDir }, config);
  const bytes = await readFile(join(packageRoot, 'policies/dist/bundle.tar.gz'));
  const policy = await openPolicy({ bytes, name: 'shipped', configDir, variables: { POLICY_TIMEOUT_MS: '5000' } });
  atTestEnd(() => policy.close());
  const decider = scratchDecider({ policy, store, clock });
  const use = (user_id: string, estimated_tokens: number) =>
    decider.decide(readRequest('openclaw/rate_limit', { tenant_id: 'acme', user_id, estimated_tokens }, undefined));

  await use('user_alice', 845_000);
  await use('user_bob', 495_000);
  clock.set(Date.parse('2026-03-15T09:00:00Z'));
  await use('user_alice', 45_000);
  await use('user_bob', 25_000);

  const granted = new Granted({ store, now: () => clock.now(), log });
  const { issued } = identitiesOn({ store, clock });
  const keyChanges = new KeyChanges({ store, issued, clock });
  const health = new HealthView({ store, accounts: () => [], log });
  const deps = { config: () => config, identities, granted, health, keyChanges, policy: () => policy, store, clock };
  const app = adminRoutes({ ...deps, adminToken: 'admin' });
  const response = await app.request('/api/admin/budgets', { headers: ADMIN });
  expect(await response.json()).toEqual({
    users: [
      {
        user_id: 'user_alice',
        daily_used: 45_000,
        daily_limit: 100_000,
        daily_remaining: 55_000,
        monthly_used: 890_000,
        monthly_limit: 2_000_000,
        status: 'ok',
      },
      {
        user_id: 'user_bob',
        daily_used: 25_000,
        daily_limit: 25_000,
        daily_remaining: 0,
        monthly_used: 520_000,
        monthly_limit: 500_000,
        status: 'over_limit',
      },
    ],
  });
});

test('tells one user, also one that no file knows, and takes nothing', async () => {
  const sidecar = await start({ 'users.yaml': USERS, 'budgets.yaml': soft });
  await ask(sidecar, { user_id: 'carol', estimated_tokens: 1_000 });
  const before = await client.xLen('ocr:{p0}:usage');
  for (let n = 0; n < 3; n++) {
    expect(await report(sidecar, '?user_id=carol')).toEqual({
      users: [
        {
          user_id: 'carol',
          daily_used: 1_000,
          daily_limit: 50_000,
          daily_remaining: 49_000,
          monthly_used: 1_000,
          monthly_limit: 1_000_000,
          status: 'ok',
        },
      ],
    });
  }
  expect(await client.xLen('ocr:{p0}:usage')).toBe(before);
});

test('has a row for each tenant where a user of none has used something', async () => {
  const users = USERS.replace('user_bob, ', 'user_bob, tenant: globex, ');
  const sidecar = await start({ 'users.yaml': users, 'budgets.yaml': soft });
  await ask(sidecar, { user_id: 'user_alice', estimated_tokens: 10 });
  await ask(sidecar, { user_id: 'user_alice', tenant_id: 'globex', estimated_tokens: 20 });
  await ask(sidecar, { user_id: 'user_bob', tenant_id: 'globex', estimated_tokens: 30 });
  const rows = async (query = '') =>
    (await report(sidecar, query)).users.map(
      ({ daily_used, tenant_id, user_id }: { daily_used: number; tenant_id?: string; user_id: string }) => [
        user_id,
        tenant_id,
        daily_used,
      ],
    );
  expect(await rows()).toEqual([
    ['user_alice', 'acme', 10],
    ['user_alice', 'globex', 20],
    ['user_bob', undefined, 30],
  ]);
  expect(await rows('?tenant_id=globex')).toEqual([
    ['user_alice', undefined, 20],
    ['user_bob', undefined, 30],
  ]);
  expect(await rows('?tenant_id=acme')).toEqual([['user_alice', undefined, 10]]);
});

test('comes in pages, of 2,500 users too', async () => {
  const many = Array.from({ length: 2_500 }, (_, n) => `  - { id: u${n} }`).join('\n');
  const sidecar = await start({ 'users.yaml': `users:\n${many}\n`, 'budgets.yaml': soft });
  const seen: string[] = [];
  let next: string | undefined;
  let pages = 0;
  do {
    const page = await report(sidecar, next === undefined ? '' : `?after=${next}`);
    seen.push(...page.users.map(({ user_id }: { user_id: string }) => user_id));
    next = page.next;
    pages++;
  } while (next !== undefined);
  expect(pages).toBe(3);
  // Those of user_overrides, too.
  expect(seen).toHaveLength(2_502);
  expect(new Set(seen).size).toBe(2_502);
  expect((await report(sidecar, '?limit=2')).users).toHaveLength(2);
});

test('is for the admin, and says what is wrong with a query', async () => {
  const sidecar = await start({});
  const url = `${sidecar.url}/api/admin/budgets`;
  expect((await get(url)).status).toBe(401);
  expect((await get(url, { Authorization: 'Bearer wrong' })).status).toBe(401);
  for (const query of ['limit=0', 'limit=1001', 'limit=x', 'package=nothing/here']) {
    const { body, status } = await get(`${url}?${query}`, ADMIN);
    expect({ query, status }).toEqual({ query, status: 400 });
    expect(body.message).toContain(query.split('=')[0]);
  }
});

test('a budget of money is corrected by the price of what was really used', async () => {
  const sidecar = await start({ 'budgets.yaml': 'team_budgets: { data: { usd: 1 } }\n' });
  const model = 'anthropic/claude-sonnet-4-5';
  const { body } = await post(`${sidecar.url}/v1/data/openclaw/rate_limit/allow`, {
    input: { tenant_id: 'acme', team_id: 'data', model, input_tokens: 10_000, max_output_tokens: 20_000 },
  });
  // 10,000 × 3 + 20,000 × 15 USD for a million.
  const usd = async () => {
    const preview = await post(`${sidecar.url}/v1/data/openclaw/rate_limit/allow?dry_run=true&explain=full`, {
      input: { tenant_id: 'acme', team_id: 'data' },
    });
    return preview.body.explanation.find(({ limit }: { limit?: string }) => limit === 'team:data:usd:month').before;
  };
  expect(await usd()).toBe(330_000_000);
  const usage = { decision_id: body.decision_id, outcome: 'succeeded', model, usage: { input: 10_001, output: 100 } };
  expect((await post(`${sidecar.url}/v1/usage`, usage)).body.changes).toEqual([
    { id: 'team:data:usd:month', unit: 'usd', amount: 31_503_000 - 330_000_000 },
  ]);
  expect(await usd()).toBe(31_503_000);
});
