import { once } from 'node:events';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createClient } from 'redis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { BRING_TIMEOUT_MS, bringNginx } from '../helpers/bring.ts';
import { type Nginx, startNginxOn, withinHttp } from '../helpers/nginx.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';

const CAPACITY = 3;

let redis: RedisServer;
let client: ReturnType<typeof createClient>;
let configDir: string;

beforeAll(async () => {
  await bringNginx();
  redis = await startRedis();
  client = createClient({ url: redis.url });
  await client.connect();
  configDir = join(await tempDir('config'), 'config');
  await cp(join(packageRoot, 'config'), configDir, { recursive: true });
  await writeFile(
    join(configDir, 'users.yaml'),
    `users:
  - { id: alice, api_key: ak_alice_1, tenant: acme, team: data }
  - { id: bob, api_key: ak_bob_123, tenant: "glöbex & co" }
  - { id: carol, api_key: ak_carol_1 }
`,
  );
  await writeFile(
    join(configDir, 'tenants.yaml'),
    `defaults: { capacity: ${CAPACITY}, refill: hourly, price_per_token: "0.0001", billing_cycle: { period: month } }\n`,
  );
}, BRING_TIMEOUT_MS);

interface Asked {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
}

/** Answers everything, and remembers what it was asked. */
async function fakeOpenClaw(): Promise<{ address: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const { headers, method = '', url = '' } = request;
    asked.push({ method, url, headers });
    request.resume().on('end', () => response.end('answered by OpenClaw'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atTestEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

let openclaw: { address: string; asked: Asked[] };
let sidecar: Service;
let nginx: Nginx;

/** The example that is shipped, on the addresses of this test. */
async function gateway(): Promise<Nginx> {
  const shipped = await readFile(join(packageRoot, 'deploy/nginx/openclaw.conf'), 'utf8');
  return startNginxOn((port, dir) => {
    const here = shipped
      .replace('127.0.0.1:18789', openclaw.address)
      .replace('127.0.0.1:8181', new URL(sidecar.url).host)
      .replace('127.0.0.1:8080', `127.0.0.1:${port}`);
    return withinHttp(dir, `access_log off;\n${here}`);
  });
}

afterAll(() => client.destroy());

beforeEach(async () => {
  await client.flushAll();
  openclaw = await fakeOpenClaw();
  sidecar = await startSidecar({
    CONFIG_DIR: configDir,
    DATA_DIR: await tempDir('data'),
    REDIS_URL: redis.url,
    OPA_TOKEN: 'service-token',
    STORE_TIMEOUT_MS: '5000',
  });
  nginx = await gateway();
});

const key = (value: string) => ({ 'X-API-Key': value });

describe('a real nginx asks the sidecar, and', () => {
  test('passes on who it is, not what the client says of itself', async () => {
    const claims = { 'X-Tenant-ID': 'globex', 'X-User-ID': 'root', 'X-Team-ID': 'ops', 'X-Forwarded-Email': 'a@b.c' };
    const response = await fetch(`${nginx.url}/v1/chat?stream=1`, {
      method: 'POST',
      body: 'prompt',
      headers: { ...claims, ...key('ak_alice_1') },
    });
    expect([response.status, await response.text()]).toEqual([200, 'answered by OpenClaw']);
    expect(openclaw.asked).toMatchObject([
      {
        method: 'POST',
        url: '/v1/chat?stream=1',
        headers: { 'x-tenant-id': 'acme', 'x-team-id': 'data', 'x-user-id': 'alice' },
      },
    ]);
    expect(openclaw.asked[0]?.headers['x-decision-id']).toMatch(/^[0-9a-f-]{36}\.0$/);
    expect(openclaw.asked[0]?.headers).not.toHaveProperty('x-api-key');
    await fetch(nginx.url, { headers: { Authorization: 'Bearer ak_bob_123' } });
    expect(openclaw.asked[1]?.headers['x-tenant-id']).toBe('gl%C3%B6bex%20&%20co');
  });

  test('refuses who shows nothing or what is nobody’s, with 401', async () => {
    for (const headers of [{}, key('nobody'), { Authorization: 'Bearer nobody' }, { 'X-User-ID': 'alice' }]) {
      const response = await fetch(nginx.url, { headers });
      expect([response.status, await response.json()]).toEqual([401, { error: 'Invalid or missing API key' }]);
    }
    expect(openclaw.asked).toEqual([]);
  });

  test('refuses what is beyond the limit with 429, and says how long to wait', async () => {
    const statuses: number[] = [];
    for (let n = 0; n < CAPACITY + 2; n++)
      statuses.push((await fetch(nginx.url, { headers: key('ak_alice_1') })).status);
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
    expect(openclaw.asked).toHaveLength(CAPACITY);
    const refused = await fetch(nginx.url, { headers: key('ak_alice_1') });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(3_500);
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(3_600);
    expect(refused.headers.get('ratelimit')).toMatch(/^"tenant:acme:tokens";r=0;t=\d+$/);
    expect(refused.headers.get('ratelimit-policy')).toBe(`"tenant:acme:tokens";q=${CAPACITY};w=3600`);
    expect(await refused.json()).toEqual({ error: 'Too many requests' });
  });

  test('refuses who is of no tenant, and a body that is too large', async () => {
    expect((await fetch(nginx.url, { headers: key('ak_carol_1') })).status).toBe(403);
    const body = 'x'.repeat(1_100_000);
    const response = await fetch(nginx.url, { method: 'POST', body, headers: key('ak_bob_123') });
    expect(response.status).toBe(413);
    expect(openclaw.asked).toEqual([]);
  });

  test('lets nobody through while the sidecar is away', async () => {
    await sidecar.process.kill('SIGKILL');
    const response = await fetch(nginx.url, { headers: key('ak_bob_123') });
    expect([response.status, await response.json()]).toEqual([503, { error: 'Cannot be decided now' }]);
    expect(openclaw.asked).toEqual([]);
  });
});

describe('/authz itself', () => {
  const authz = (headers: Record<string, string>, init: RequestInit = {}) =>
    fetch(`${sidecar.url}/authz`, { ...init, headers });

  test('takes on every method, and says why it refuses', async () => {
    const service = { Authorization: 'Bearer service-token', 'X-Tenant-ID': 'initech', 'X-User-ID': 'milton' };
    for (const method of ['GET', 'POST', 'DELETE']) {
      const response = await authz(service, { method });
      expect(response.status).toBe(200);
      expect(response.headers.get('x-tenant-id')).toBe('initech');
      expect(response.headers.get('x-user-id')).toBe('milton');
    }
    const refused = await authz(service);
    expect(refused.status).toBe(429);
    expect(await refused.json()).toMatchObject({ reason: 'rate_limited', error: expect.stringContaining('allowance') });
    expect((await authz({ Authorization: 'Bearer service-token' })).status).toBe(403);
    expect((await fetch(`${sidecar.url}/authz?package=not/there`, { headers: service })).status).toBe(404);
  });
});
