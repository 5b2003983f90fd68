import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { auditEventSchema } from '../../schemas/audit-event.ts';
import { usageStreamKey } from '../../schemas/usage-stream.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { get, post, type Reply } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const USERS = `users:
  - { id: alice, tenant: acme, team: data, role: developer, channels: ["slack:U1"] }
  - { id: bob, tenant: globex, team: ops }
`;
const ADMIN = { Authorization: 'Bearer admin' };
const KEYS = '/api/admin/keys';
const DECISION = '/v1/data/openclaw/rate_limit/decision';

let redis: RedisServer;
let client: ReturnType<typeof createClient>;
let here: Service;
let there: Service;

const env = async (more: Record<string, string> = {}) => ({
  DATA_DIR: await tempDir('data'),
  REDIS_URL: redis.url,
  OPA_TOKEN: 'service-token',
  ADMIN_TOKEN: 'admin',
  STORE_TIMEOUT_MS: '5000',
  ...more,
});

beforeAll(async () => {
  redis = await startRedis();
  client = createClient({ url: redis.url });
  await client.connect();
  const CONFIG_DIR = join(await tempDir('config'), 'config');
  await cp(join(packageRoot, 'config'), CONFIG_DIR, { recursive: true });
  await writeFile(join(CONFIG_DIR, 'users.yaml'), USERS);
  [here, there] = await Promise.all([startSidecar(await env({ CONFIG_DIR })), startSidecar(await env({ CONFIG_DIR }))]);
}, BRING_TIMEOUT_MS);

afterAll(() => client.close());

const issue = async (body: object): Promise<{ id: string; key: string; [field: string]: unknown }> => {
  const reply = await post(`${here.url}${KEYS}`, body, ADMIN);
  expect(reply).toMatchObject({ status: 201, body: { state: 'active' } });
  return reply.body;
};
const rotate = (id: string, body: object | string = '') => post(`${here.url}${KEYS}/${id}/rotate`, body, ADMIN);
const revoke = (id: string, body: object | string = '') => post(`${here.url}${KEYS}/${id}/revoke`, body, ADMIN);
const ask = ({ url }: Service, key: string, input: object = {}) =>
  post(`${url}${DECISION}`, { input }, { 'X-API-Key': key });
const authz = ({ url }: Service, key: string, headers: Record<string, string> = {}) =>
  get(`${url}/authz`, { 'X-API-Key': key, ...headers });
const code = ({ body }: Reply) => body.errors?.[0]?.code;

async function audited(action: string, target: string) {
  const entries = (await client.xRange(usageStreamKey(0), '-', '+')) ?? [];
  const events = entries.map(({ message }) => JSON.parse(message.e ?? '{}'));
  return events
    .filter((event) => event.action === action && event.target === target)
    .map((e) => auditEventSchema.parse(e));
}

describe('a key', () => {
  test('is shown once, and lets its holder in at every sidecar', async () => {
    const { id, key, ...about } = await issue({ user_id: 'alice', name: 'laptop', reason: 'a new laptop' });
    expect(about).toEqual({
      prefix: `ocr_${id}`,
      name: 'laptop',
      tenant_id: 'acme',
      user_id: 'alice',
      state: 'active',
      created_at: expect.any(String),
      created_by: 'admin',
    });
    expect(key).toMatch(new RegExp(`^ocr_${id}_[0-9A-Za-z]{38}$`));
    for (const sidecar of [here, there]) {
      expect((await ask(sidecar, key)).body.result).toMatchObject({ allow: true });
      const { headers, status } = await authz(sidecar, key);
      expect(status).toBe(200);
      expect(Object.fromEntries(['tenant', 'team', 'user'].map((n) => [n, headers.get(`X-${n}-ID`)]))).toEqual({
        tenant: 'acme',
        team: 'data',
        user: 'alice',
      });
      expect(headers.get('X-Credential-ID')).toBe(`key:${id}`);
    }
    const [event] = await audited('key.issued', id);
    expect(event).toMatchObject({ actor: 'admin', source_ip: '127.0.0.1', tenant_id: 'acme', reason: 'a new laptop' });
  });

  test('is bound: of a user to that user, of a team to its users, of a tenant to its teams and users', async () => {
    const user = await issue({ user_id: 'alice' });
    const team = await issue({ tenant_id: 'acme', team_id: 'data' });
    const tenant = await issue({ tenant_id: 'acme' });
    const status = async ({ key }: { key: string }, input: object) => (await ask(here, key, input)).status;
    const cases: [object, number, number, number][] = [
      [{}, 200, 200, 200],
      [{ tenant_id: 'acme' }, 200, 200, 200],
      [{ tenant_id: 'globex' }, 403, 403, 403],
      [{ user_id: 'alice' }, 200, 200, 200],
      [{ user_id: 'bob' }, 403, 403, 403],
      [{ user_id: 'carol' }, 403, 200, 200],
      [{ user_id: 'alice', team_id: 'data' }, 200, 200, 200],
      [{ user_id: 'alice', team_id: 'ops' }, 403, 403, 403],
      [{ user_id: 'carol', team_id: 'ops' }, 403, 403, 200],
      [{ user_id: 'alice', role: 'admin' }, 403, 403, 403],
      [{ role: 'admin' }, 403, 403, 403],
    ];
    for (const [input, ...expected] of cases) {
      const seen = [await status(user, input), await status(team, input), await status(tenant, input)];
      expect({ input, seen }).toEqual({ input, seen: expected });
    }
    const spoken = await authz(here, tenant.key, { 'X-User-ID': 'alice' });
    expect([spoken.status, spoken.headers.get('X-User-ID')]).toEqual([200, 'alice']);
  });

  test('of nobody, mistyped or forged: the same 401', async () => {
    const { key } = await issue({ tenant_id: 'acme' });
    const other = await issue({ tenant_id: 'acme' });
    // The id of one with the secret of another; its checksum is wrong too.
    const crossed = key.slice(0, 20) + other.key.slice(20);
    for (const wrong of [`${key}x`, key.slice(0, -1), crossed, `ocr_k0_${'a'.repeat(12)}_${'a'.repeat(38)}`]) {
      const reply = await ask(here, wrong);
      expect([reply.status, code(reply)]).toEqual([401, undefined]);
      expect(await authz(here, wrong)).toMatchObject({ status: 401, body: { error: 'Invalid or missing API key' } });
    }
  });

  test('ends by itself', async () => {
    const { key } = await issue({ tenant_id: 'acme', expires_in: '2s' });
    expect((await ask(here, key)).status).toBe(200);
    await eventually(async () => expect(code(await ask(here, key))).toBe('expired_key'));
    expect((await ask(there, key)).status).toBe(401);
  });
});

describe('a rotation', () => {
  test('lets both in until the grace is over, and then the new one alone', async () => {
    const old = await issue({ user_id: 'alice', name: 'ci' });
    expect((await ask(there, old.key)).status).toBe(200);
    const { body, status } = await rotate(old.id, { grace: '3s', reason: 'monthly' });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      name: 'ci',
      tenant_id: 'acme',
      user_id: 'alice',
      rotated_from: old.id,
      replaces: { id: old.id, state: 'ending', rotated_to: body.id },
    });
    for (const sidecar of [here, there]) {
      for (const key of [old.key, body.key]) expect((await ask(sidecar, key)).status).toBe(200);
    }
    await eventually(async () => expect(code(await ask(there, old.key))).toBe('expired_key'));
    for (const sidecar of [here, there]) expect((await ask(sidecar, body.key)).status).toBe(200);
    const [event] = await audited('key.rotated', old.id);
    expect(event).toMatchObject({ reason: 'monthly', source_ip: '127.0.0.1' });
  });

  test('leaves 72 hours if nothing is said', async () => {
    const old = await issue({ tenant_id: 'acme' });
    const before = Date.now();
    const ends = Date.parse((await rotate(old.id)).body.replaces.expires_at);
    expect(Math.abs(ends - before - 72 * 3_600_000)).toBeLessThan(60_000);
  });

  test('leaves two at once, and never three', async () => {
    const first = await issue({ tenant_id: 'acme' });
    const second = (await rotate(first.id, { grace: '1h' })).body;
    expect(await rotate(first.id)).toMatchObject({ status: 409, body: { code: 'resource_conflict' } });
    expect((await rotate(second.id)).body.message).toContain(first.id);
    expect((await revoke(first.id)).status).toBe(200);
    expect((await rotate(second.id)).status).toBe(201);
  });

  test('asked for by many at once is done once', async () => {
    const { id } = await issue({ tenant_id: 'acme' });
    const replies = await Promise.all(Array.from({ length: 8 }, () => rotate(id, { grace: '1h' })));
    expect(replies.map(({ status }) => status).toSorted()).toEqual([201, ...Array(7).fill(409)]);
    expect(await audited('key.rotated', id)).toHaveLength(1);
  });
});

describe('a revocation', () => {
  test('holds at every sidecar at once for what takes, and within a second for all', async () => {
    const { id, key } = await issue({ tenant_id: 'acme' });
    for (const sidecar of [here, there]) expect((await ask(sidecar, key)).body.result.allow).toBe(true);
    const revoked = await revoke(id, { reason: 'leaked' });
    expect(revoked).toMatchObject({ status: 200, body: { id, state: 'revoked', revoked_at: expect.any(String) } });
    // The other one may not have learnt it yet: the store refuses the take itself.
    const { body, status } = await ask(there, key);
    if (status === 200) expect(body.result).toMatchObject({ allow: false, reason: 'revoked_key' });
    expect(code(await ask(here, key))).toBe('revoked_key');
    expect(await authz(here, key)).toMatchObject({ status: 401, body: { error: 'Invalid or missing API key' } });
    await eventually(async () => expect(code(await ask(there, key))).toBe('revoked_key'), { timeoutMs: 3_000 });
    expect((await get(`${there.url}/v1/decisions/x`, { 'X-API-Key': key })).status).toBe(401);
    expect(await audited('key.revoked', id)).toMatchObject([{ actor: 'admin', reason: 'leaked' }]);
  });

  test('is done once, however often it is asked for', async () => {
    const { id } = await issue({ tenant_id: 'acme' });
    const first = (await revoke(id)).body;
    expect((await revoke(id)).body).toEqual(first);
    const gone = await fetch(`${here.url}${KEYS}/${id}`, { method: 'DELETE', headers: ADMIN });
    expect(await gone.json()).toEqual(first);
    expect(await audited('key.revoked', id)).toHaveLength(1);
  });
});

test('a list shows all but the keys, page by page, with when each was last used', async () => {
  const used = await issue({ tenant_id: 'listed', name: 'used' });
  await Promise.all(Array.from({ length: 4 }, () => issue({ tenant_id: 'listed' })));
  await ask(there, used.key);
  const list = async (query: string) => (await get(`${here.url}${KEYS}?tenant_id=listed&${query}`, ADMIN)).body;
  const first = await list('limit=3');
  const second = await list(`limit=3&after=${first.next}`);
  expect([first.keys.length, second.keys.length, second.next]).toEqual([3, 2, undefined]);
  const all = [...first.keys, ...second.keys];
  expect(new Set(all.map(({ id }) => id)).size).toBe(5);
  await eventually(async () => {
    const { body } = await get(`${here.url}${KEYS}/${used.id}`, ADMIN);
    expect(body).toMatchObject({ name: 'used', last_used_at: expect.any(String) });
  });
  expect(JSON.stringify([all, first])).not.toMatch(/digest|_[0-9A-Za-z]{38}/);
});

test('what is wrong is said, and what would be right', async () => {
  const cases: [object | string, string][] = [
    [{}, 'tenant_id: is missing'],
    [{ user_id: 'alice', tenant_id: 'globex' }, 'tenant_id: alice is of tenant acme'],
    [{ tenant_id: '' }, 'tenant_id: must name a tenant'],
    [{ tenant_id: 'a'.repeat(257) }, 'must not be longer than 256 bytes'],
    [{ tenant_id: 'acme', scope: 'all' }, 'Unrecognized key'],
    [{ tenant_id: 'acme', expires_at: '2020-01-01T00:00:00Z' }, 'that is over already'],
    [{ tenant_id: 'acme', expires_at: '9999-01-01T00:00:00Z' }, 'must be within 3650d'],
    [{ tenant_id: 'acme', expires_at: 'tomorrow' }, 'must be a time with its zone'],
    [{ tenant_id: 'acme', expires_in: '1 week' }, 'such as "72h"'],
    [{ tenant_id: 'acme', expires_in: '1h', expires_at: '2099-01-01T00:00:00Z' }, 'give one of them'],
    ['{', 'body'],
  ];
  for (const [body, message] of cases) {
    const reply = await post(`${here.url}${KEYS}`, body, ADMIN);
    expect([body, reply.status]).toEqual([body, 400]);
    expect(reply.body.message).toContain(message);
  }
  const { id, key } = await issue({ tenant_id: 'acme' });
  expect((await rotate(id, { grace: 'soon' })).body.message).toContain('grace: must be a whole number');
  expect((await rotate('k0_000000000000')).status).toBe(404);
  expect((await revoke('k0_000000000000')).status).toBe(404);
  expect((await revoke('k63_000000000000')).status).toBe(404);
  expect((await revoke('nonsense')).status).toBe(400);
  const pasted = await revoke(key);
  expect([pasted.status, pasted.body.message]).toEqual([400, expect.stringContaining('a whole key')]);
  expect(pasted.body.message).not.toContain(key.slice(-38));
});

test('who is no admin sees and changes nothing', async () => {
  const { id, key } = await issue({ tenant_id: 'acme' });
  for (const headers of [{}, { 'X-API-Key': key }, { Authorization: 'Bearer service-token' }]) {
    const replies = [
      await post(`${here.url}${KEYS}`, { tenant_id: 'acme' }, headers),
      await get(`${here.url}${KEYS}`, headers),
      await post(`${here.url}${KEYS}/${id}/revoke`, '', headers),
      await post(`${here.url}${KEYS}/${id}/rotate`, '', headers),
    ];
    expect(replies.map(({ status }) => status)).toEqual([401, 401, 401, 401]);
  }
  expect((await ask(here, key)).status).toBe(200);
});

test('who was not let in is in the stream: an ended key by its name, others by their address', async () => {
  const { id, key } = await issue({ tenant_id: 'acme' });
  await revoke(id);
  await ask(here, key);
  await ask(here, 'ak_nobody');
  await eventually(async () => {
    const entries = (await client.xRange(usageStreamKey(0), '-', '+')) ?? [];
    const denied = entries.map(({ message }) => JSON.parse(message.e ?? '{}')).filter(({ type }) => type === 'denied');
    expect(denied).toContainEqual(
      expect.objectContaining({
        tenant_id: 'acme',
        credential_id: `key:${id}`,
        source_ip: '127.0.0.1',
        outcome: { granted: false, reason: 'revoked_key' },
      }),
    );
    expect(denied).toContainEqual(
      expect.objectContaining({
        tenant_id: '',
        source_ip: '127.0.0.1',
        outcome: { granted: false, reason: 'unidentified' },
      }),
    );
  });
});

test('guessing: after 30 wrong ones an address waits, also with a right one; those that were right before go on', async () => {
  const sidecar = await startSidecar(await env());
  const [known, fresh] = [await issue({ tenant_id: 'acme' }), await issue({ tenant_id: 'acme' })];
  expect((await ask(sidecar, known.key)).status).toBe(200);
  const statuses = [];
  for (let time = 0; time < 32; time++) statuses.push((await ask(sidecar, `ak_guess_${time}`)).status);
  expect(statuses).toEqual([...Array(30).fill(401), 429, 429]);
  const late = await ask(sidecar, fresh.key);
  expect([late.status, code(late)]).toEqual([429, 'too_many_failures']);
  expect(Number(late.headers.get('Retry-After'))).toBeGreaterThan(0);
  const gate = await authz(sidecar, fresh.key);
  expect([gate.status, Number(gate.headers.get('Retry-After')) > 0]).toEqual([429, true]);
  expect((await ask(sidecar, known.key)).status).toBe(200);
  expect((await ask(here, fresh.key)).status).toBe(200);
});

test('no key and no digest is in a log, in the stream or in a metric', async () => {
  const { key } = await issue({ tenant_id: 'acme' });
  await ask(here, key);
  const metrics = await fetch(`${here.url}/metrics`).then((response) => response.text());
  const said = [...here.process.output, ...there.process.output, metrics].join('\n');
  expect(said).not.toMatch(/ocr_k\d+_[0-9A-Za-z]{12}_|ak_guess|service-token/);
  const kept = await client.hGetAll('ocr:{p0}:keys');
  const digests = Object.values(kept).map((text) => /"digest":"([0-9a-f]{64})"/.exec(text)?.[1]);
  expect(digests.length).toBeGreaterThan(5);
  for (const digest of digests) expect(said).not.toContain(digest);
  const everything = JSON.stringify([kept, await client.xRange(usageStreamKey(0), '-', '+')]);
  expect(everything).not.toMatch(/ocr_k\d+_[0-9A-Za-z]{12}_/);
});
