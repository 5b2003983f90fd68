import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from 'redis';
import { beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { get, post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';

let redis: RedisServer;
let configDir: string;

beforeAll(async () => {
  redis = await startRedis();
  configDir = join(await tempDir('config'), 'config');
  await cp(join(packageRoot, 'config'), configDir, { recursive: true });
  await writeFile(
    join(configDir, 'budgets.yaml'),
    'per_user_budgets: { default_limits: { daily_tokens: 1000 }, on_limit_exceeded: { action: hard_stop } }\n',
  );
  await writeFile(join(configDir, 'users.yaml'), 'users: [{ id: alice, tenant: acme }]\n');
}, BRING_TIMEOUT_MS);

const start = async (): Promise<Service> =>
  startSidecar({
    CONFIG_DIR: configDir,
    DATA_DIR: await tempDir('data'),
    REDIS_URL: redis.url,
    ADMIN_TOKEN: 'admin',
    STORE_TIMEOUT_MS: '5000',
  });

const ADMIN = { Authorization: 'Bearer admin' };
const GRANTS = '/api/admin/budgets/alice/grants';
const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();

const ask = async ({ url }: Service, estimated_tokens: number, more: object = {}) => {
  const input = { tenant_id: 'acme', user_id: 'alice', estimated_tokens, ...more };
  return (await post(`${url}/v1/data/openclaw/rate_limit/allow`, { input })).body;
};

const report = async ({ url }: Service) => (await get(`${url}/api/admin/budgets?user_id=alice`, ADMIN)).body.users[0];

test('a boost counts at every sidecar until it ends or is taken back, and is in the usage stream', async () => {
  const [one, two] = [await start(), await start()];
  expect((await ask(one, 1_000)).result).toBe(true);
  expect((await ask(two, 1)).result).toBe(false);

  const grant = { tokens: 500, expires_at: inHours(1), reason: 'release week' };
  const headers = { ...ADMIN, 'Idempotency-Key': 'ticket-7' };
  const made = await post(`${one.url}${GRANTS}`, grant, headers);
  expect(made.status).toBe(201);
  expect(made.body).toMatchObject({ tenant_id: 'acme', user_id: 'alice', ...grant, by: 'admin' });
  const other = await post(`${two.url}${GRANTS}`, { ...grant, tokens: 501 }, headers);
  expect(other.status).toBe(409);
  const again = await post(`${two.url}${GRANTS}`, grant, headers);
  expect({ status: again.status, id: again.body.id }).toEqual({ status: 200, id: made.body.id });

  expect(await report(one)).toMatchObject({
    daily_used: 1_000,
    daily_limit: 1_500,
    daily_remaining: 500,
    status: 'ok',
  });
  expect((await ask(one, 300)).result).toBe(true);
  await eventually(async () => expect((await ask(two, 1)).result).toBe(true));
  // Nobody else gets it, and nobody says that it has it.
  expect((await ask(one, 1_001, { user_id: 'bob', granted_tokens: 9_999 })).result).toBe(false);

  expect((await get(`${two.url}${GRANTS}`, ADMIN)).body.grants).toEqual([made.body]);
  const another = await fetch(`${two.url}/api/admin/budgets/bob/grants/${made.body.id}?tenant_id=acme`, {
    method: 'DELETE',
    headers: ADMIN,
  });
  expect(another.status).toBe(404);
  const taken = await fetch(`${two.url}${GRANTS}/${made.body.id}`, { method: 'DELETE', headers: ADMIN });
  expect(taken.status).toBe(204);
  expect((await ask(two, 1)).result).toBe(false);
  await eventually(async () => expect((await ask(one, 1)).result).toBe(false));
  // What was used stays used.
  expect(await report(one)).toMatchObject({ daily_limit: 1_000, status: 'over_limit' });
  expect((await fetch(`${two.url}${GRANTS}/${made.body.id}`, { method: 'DELETE', headers: ADMIN })).status).toBe(404);

  const short = { tokens: 5_000, expires_at: new Date(Date.now() + 1_500).toISOString(), reason: 'for a moment' };
  expect((await post(`${one.url}${GRANTS}`, short, ADMIN)).status).toBe(201);
  expect((await ask(one, 1)).result).toBe(true);
  await eventually(async () => expect((await ask(one, 1)).result).toBe(false));

  const client = createClient({ url: redis.url });
  await client.connect();
  const entries = await client.xRange('ocr:{p0}:usage', '-', '+');
  client.destroy();
  const events = (entries ?? [])
    .map(({ message }) => JSON.parse(message.e ?? ''))
    .filter(({ type }) => type === 'adjusted');
  expect(events.map(({ grant, user_id }) => [user_id, grant.tokens, grant.reason])).toEqual([
    ['alice', 500, 'release week'],
    ['alice', -500, 'release week'],
    ['alice', 5_000, 'for a moment'],
  ]);
});

test('a retry under one request id is the same request, whatever was granted meanwhile', async () => {
  const sidecar = await start();
  const request = { user_id: 'alice', tenant_id: 'globex', request_id: 'r1' };
  const first = await ask(sidecar, 10, request);
  expect(first.result).toBe(true);
  await post(
    `${sidecar.url}/api/admin/budgets/carol/grants`,
    { tokens: 5, expires_at: inHours(1), reason: 'x', tenant_id: 'acme' },
    ADMIN,
  );
  const carol = { user_id: 'carol', request_id: 'r2' };
  const before = await ask(sidecar, 10, carol);
  await post(
    `${sidecar.url}/api/admin/budgets/carol/grants`,
    { tokens: 7, expires_at: inHours(1), reason: 'y', tenant_id: 'acme' },
    ADMIN,
  );
  expect(await ask(sidecar, 10, carol)).toMatchObject({ result: true, decision_id: before.decision_id });
});

test('survives a restart', async () => {
  const sidecar = await start();
  const body = { tokens: 42, expires_at: inHours(1), reason: 'stays', tenant_id: 'acme' };
  await post(`${sidecar.url}/api/admin/budgets/dora/grants`, body, ADMIN);
  await sidecar.process.kill('SIGKILL');
  const next = await start();
  const { users } = (await get(`${next.url}/api/admin/budgets?user_id=dora&tenant_id=acme`, ADMIN)).body;
  expect(users[0].daily_limit).toBe(1_042);
});

test('is for the admin, and what is wrong is said', async () => {
  const sidecar = await start();
  const grant = { tokens: 5, expires_at: inHours(1), reason: 'why' };
  expect((await post(`${sidecar.url}${GRANTS}`, grant)).status).toBe(401);
  const wrong: [object, string][] = [
    [{ ...grant, tokens: 0 }, 'tokens: must be a whole number'],
    [{ ...grant, tokens: 1.5 }, 'tokens: must be a whole number'],
    [{ ...grant, expires_at: 'tomorrow' }, 'expires_at: must be a time'],
    [{ ...grant, expires_at: inHours(-1) }, 'expires_at: '],
    [{ ...grant, expires_at: '0000-01-01T00:00:00Z' }, 'expires_at: that is over'],
    [{ ...grant, reason: '' }, 'reason: must say why'],
    [{ ...grant, reason: 'a\u0000b' }, 'reason: must be valid Unicode'],
    [{ ...grant, toknes: 5 }, 'toknes'],
    [{ ...grant, tenant_id: 'globex' }, 'tenant_id: alice is of tenant acme'],
  ];
  for (const [body, message] of wrong) {
    const refused = await post(`${sidecar.url}${GRANTS}`, body, ADMIN);
    expect({ body, status: refused.status }).toEqual({ body, status: 400 });
    expect(refused.body.message).toContain(message);
  }
  const unknown = await post(`${sidecar.url}/api/admin/budgets/zoe/grants`, grant, ADMIN);
  expect(unknown.body.message).toContain('tenant_id: is missing');
});
