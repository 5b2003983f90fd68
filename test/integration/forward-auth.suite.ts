import { once } from 'node:events';
import { cp, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { createClient } from 'redis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { type FakeOpenClaw, fakeOpenClaw } from '../helpers/fake-openclaw.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const CAPACITY = 3;

/** What stands behind a gateway: new for each test, once that runs. */
export interface Stage {
  openclaw: FakeOpenClaw;
  sidecar: Service;
}

export interface GatewayKind {
  name: string;
  /** Needed where it may take long. */
  bring?(): Promise<unknown>;
  /** Starts the example that is shipped, on the addresses of the test: host and port each. */
  start(behind: { openclaw: string; sidecar: string }): Promise<{ url: string }>;
  /** What it answers beyond a limit, with 429. */
  tooMany: object;
  /** Its status while the sidecar is away. */
  away: number;
}

/** A sidecar with its Redis, and an OpenClaw, before each test. */
export function forwardAuthStage(): Stage {
  const stage = {} as Stage;
  let redis: RedisServer;
  let client: ReturnType<typeof createClient>;
  let configDir: string;

  beforeAll(async () => {
    redis = await startRedis();
    client = createClient({ url: redis.url });
    await client.connect();
    configDir = await configured();
  }, BRING_TIMEOUT_MS);

  afterAll(() => client?.destroy());

  beforeEach(async () => {
    await client.flushAll();
    stage.openclaw = await fakeOpenClaw();
    stage.sidecar = await startSidecar({
      CONFIG_DIR: configDir,
      DATA_DIR: await tempDir('data'),
      REDIS_URL: redis.url,
      OPA_TOKEN: 'service-token',
      STORE_TIMEOUT_MS: '5000',
    });
  });
  return stage;
}

async function configured(): Promise<string> {
  const configDir = join(await tempDir('config'), 'config');
  await cp(join(packageRoot, 'config'), configDir, { recursive: true });
  await writeFile(
    join(configDir, 'users.yaml'),
    `users:
  - { id: alice, email: alice@acme.test, api_key: ak_alice_1, tenant: acme, team: data }
  - { id: bob, api_key: ak_bob_123, tenant: "glöbex & co" }
  - { id: carol, api_key: ak_carol_1 }
`,
  );
  // The gateway's own address is believed, so that what it lets through of a client's claims would be, too.
  await writeFile(
    join(configDir, 'auth.yaml'),
    "authentication: { method: api_key, trusted_proxy: { addresses: ['127.0.0.1'] } }\n",
  );
  await writeFile(
    join(configDir, 'tenants.yaml'),
    `defaults: { capacity: ${CAPACITY}, refill: hourly, price_per_token: "0.0001", billing_cycle: { period: month } }\n`,
  );
  return configDir;
}

const key = (value: string) => ({ 'X-API-Key': value });
const CLAIMS = {
  'X-Tenant-ID': 'globex',
  'X-User-ID': 'root',
  'X-Team-ID': 'ops',
  'X-Decision-ID': 'mine',
  'X-Credential-ID': 'key:mine',
  'X-Forwarded-Email': 'alice@acme.test',
};

/** What every gateway shows, each as a real one. */
export function forwardAuthSuite(kind: GatewayKind): void {
  describe(`a real ${kind.name} asks the sidecar, and`, () => {
    beforeAll(async () => void (await kind.bring?.()), BRING_TIMEOUT_MS);
    const stage = forwardAuthStage();
    let url: string;
    const asked = () => stage.openclaw.asked;
    beforeEach(async () => {
      const sidecar = new URL(stage.sidecar.url).host;
      ({ url } = await kind.start({ openclaw: stage.openclaw.address, sidecar }));
    });

    test('passes on who it is, not what the client says of itself', async () => {
      const headers = { ...CLAIMS, ...key('ak_alice_1') };
      const response = await fetch(`${url}/v1/chat?stream=1`, { method: 'POST', body: 'prompt', headers });
      expect([response.status, await response.text()]).toEqual([200, 'answered by OpenClaw']);
      expect(asked()).toMatchObject([
        {
          method: 'POST',
          url: '/v1/chat?stream=1',
          headers: { 'x-tenant-id': 'acme', 'x-team-id': 'data', 'x-user-id': 'alice' },
          body: 'prompt',
        },
      ]);
      expect(asked()[0]?.headers['x-decision-id']).toMatch(/^[0-9a-f-]{36}\.0$/);
      expect(asked()[0]?.headers['x-credential-id']).not.toBe('key:mine');
      expect(asked()[0]?.headers).not.toHaveProperty('x-api-key');
    });

    test('tells the sidecar where it comes from, whatever the client says: who guesses waits', async () => {
      const guess = (nth: number) =>
        fetch(url, { headers: { ...key(`ak_${nth}`), 'X-Forwarded-For': `198.51.100.${nth}` } });
      const statuses = [];
      for (let nth = 0; nth < 31; nth++) statuses.push((await guess(nth)).status);
      expect(statuses).toEqual([...Array(30).fill(401), 429]);
      expect(Number((await guess(31)).headers.get('retry-after'))).toBeGreaterThan(0);
      expect(asked()).toEqual([]);
    });

    test('passes on no team of one who has none, and no key that came as a bearer’s', async () => {
      await fetch(url, { headers: { ...CLAIMS, Authorization: 'Bearer ak_bob_123' } });
      expect(asked()).toMatchObject([{ headers: { 'x-tenant-id': 'gl%C3%B6bex%20&%20co', 'x-user-id': 'bob' } }]);
      expect(asked()[0]?.headers).not.toHaveProperty('x-team-id');
      expect(asked()[0]?.headers).not.toHaveProperty('authorization');
    });

    test('passes on who it is, whatever the client declares to be for one hop only', async () => {
      for (const Connection of ['close, x-tenant-id, X-User-ID', ['close', 'X-Tenant-ID,X-User-ID']]) {
        const [response] = await once(get(url, { headers: { Connection, ...key('ak_alice_1') } }), 'response');
        response.resume();
        expect([200, 400]).toContain(response.statusCode);
      }
      for (const { headers } of asked()) expect(headers).toMatchObject({ 'x-tenant-id': 'acme', 'x-user-id': 'alice' });
    });

    test('refuses who shows nothing or what is nobody’s, with 401', async () => {
      const nobody = [{}, key('nobody'), { Authorization: 'Bearer nobody' }, { 'X-User-ID': 'alice' }, CLAIMS];
      for (const headers of nobody) {
        const response = await fetch(url, { headers });
        expect([response.status, await response.json()]).toEqual([401, { error: 'Invalid or missing API key' }]);
      }
      expect(asked()).toEqual([]);
    });

    test('refuses what is beyond the limit with 429, and says how long to wait', async () => {
      const statuses: number[] = [];
      // The package that is asked is the gateway's to say, not the client's.
      for (let n = 0; n < CAPACITY + 2; n++)
        statuses.push((await fetch(`${url}/?a=1&package=not/there`, { headers: key('ak_alice_1') })).status);
      expect(statuses).toEqual([200, 200, 200, 429, 429]);
      expect(asked()).toHaveLength(CAPACITY);
      const refused = await fetch(url, { headers: key('ak_alice_1') });
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(3_500);
      expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(3_600);
      expect(refused.headers.get('ratelimit')).toMatch(/^"tenant:acme:tokens";r=0;t=\d+$/);
      expect(refused.headers.get('ratelimit-policy')).toBe(`"tenant:acme:tokens";q=${CAPACITY};w=3600`);
      expect(await refused.json()).toMatchObject(kind.tooMany);
    });

    test('refuses who is of no tenant, and a body that is too large, which takes nothing', async () => {
      expect((await fetch(url, { headers: key('ak_carol_1') })).status).toBe(403);
      const body = 'x'.repeat(1_100_000);
      for (let n = 0; n < CAPACITY + 1; n++) {
        const response = await fetch(url, { method: 'POST', body, headers: key('ak_bob_123') });
        expect(response.status).toBe(413);
      }
      expect(asked()).toEqual([]);
      expect((await fetch(url, { headers: key('ak_bob_123') })).status).toBe(200);
    });

    test('refuses a body that is too large and does not say so', async () => {
      const body = new Blob(['x'.repeat(1_100_000)]).stream();
      const response = await fetch(url, {
        method: 'POST',
        body,
        duplex: 'half',
        headers: key('ak_bob_123'),
      } as RequestInit);
      expect(response.status).toBe(413);
      expect(asked()).toEqual([]);
    });

    test('lets nobody through while the sidecar is away', async () => {
      await stage.sidecar.process.kill('SIGKILL');
      expect((await fetch(url, { headers: key('ak_bob_123') })).status).toBe(kind.away);
      expect(asked()).toEqual([]);
    });
  });
}
