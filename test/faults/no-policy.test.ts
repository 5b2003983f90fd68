import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { v7 as uuidv7 } from 'uuid';
import { beforeAll, describe, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS, bringOpa } from '../helpers/bring.ts';
import { shippedBundle } from '../helpers/bundles.ts';
import { Child } from '../helpers/child.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort, onFreePort } from '../helpers/free-port.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { ask, get, post, type Reply } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';

/** A cold start while the bundle server is away: there is no policy yet. Beside it a real OPA in the same situation. */
let redis: RedisServer;
let sidecar: Service;
let opa: string;
/** Where nobody listens. */
let away: number;

beforeAll(async () => {
  await bringOpa();
  redis = await startRedis();
  away = await freePort();
  sidecar = await startSidecar(await settings(away));
  opa = await startOpaWithoutPolicy();
  const problem = async () => (await get(`${opa}/v1/status`)).body.result.bundles.policy.code;
  await eventually(async () => expect(await problem()).toBe('bundle_error'));
}, BRING_TIMEOUT_MS);

const settings = async (port: number) => ({
  REDIS_URL: redis.url,
  DATA_DIR: await tempDir('data'),
  POLICY_BUNDLE: `http://127.0.0.1:${port}/bundle.tar.gz?sig=secret`,
  POLICY_BUNDLE_TOKEN: 'secret',
  POLICY_POLL_MS: '50',
  STORE_TIMEOUT_MS: '5000',
});

async function startOpaWithoutPolicy(): Promise<string> {
  const program = await bringOpa();
  const config = join(await tempDir('opa'), 'config.yaml');
  await writeFile(
    config,
    JSON.stringify({
      services: { bundles: { url: `http://127.0.0.1:${away}/` } },
      bundles: { policy: { service: 'bundles', resource: 'bundle.tar.gz' } },
      status: { service: 'bundles' },
    }),
  );
  return onFreePort(
    async (port) => {
      const listen = ['run', '--server', '--addr', `127.0.0.1:${port}`, '--skip-version-check', '-c', config];
      const child = new Child(program, { args: listen });
      const url = `http://127.0.0.1:${port}`;
      await child.whileRunning(eventually(() => get(`${url}/health`)));
      return url;
    },
    (error) => /address already in use/.test(String(error)),
  );
}

const INPUT = { tenant_id: 'acme' };
const METERED = 'openclaw/rate_limit';

/** What needs a policy, and what a real OPA answers without one. */
const ASKING: [name: string, asked: (url: string) => Promise<Reply>, opaStatus: number][] = [
  ['POST /v1/data of a metered package', (url) => post(`${url}/v1/data/${METERED}/allow`, { input: INPUT }), 200],
  ['its dry run', (url) => post(`${url}/v1/data/${METERED}/allow?dry_run=true`, { input: INPUT }), 200],
  [
    'GET /v1/data of a metered package',
    (url) => get(`${url}/v1/data/${METERED}/allow?input={"tenant_id":"acme"}`),
    200,
  ],
  ['GET /v1/data', (url) => get(`${url}/v1/data`), 200],
  ['another document', (url) => post(`${url}/v1/data/authz/allow`, { input: INPUT }), 200],
  ['POST /v0/data', (url) => post(`${url}/v0/data/${METERED}/allow`, INPUT), 404],
  ['POST /', (url) => post(`${url}/`, INPUT), 404],
  ['a batch', (url) => post(`${url}/v1/batch/data/${METERED}/allow`, { inputs: { a: INPUT, b: INPUT } }), 404],
];

describe('without a policy', () => {
  test.each(ASKING)('%s is 503, says why, and when to come again', async (_, asked) => {
    const { body, headers, status } = await asked(sidecar.url);
    expect([status, headers.get('Retry-After'), headers.get('Content-Type')]).toEqual([503, '1', 'application/json']);
    expect(body).toEqual({
      code: 'internal_error',
      message: expect.stringMatching(
        /^no policy is active: http:\/\/127\.0\.0\.1:\d+\/bundle\.tar\.gz\b.*ECONNREFUSED/,
      ),
    });
  });

  test.each(ASKING)(
    '%s: a real OPA has no such error, and answers as if all were undefined',
    async (_, asked, status) => {
      const reply = await asked(opa);
      expect(reply.status).toBe(status);
      if (status === 200) expect(reply.body.result ?? {}).toEqual({});
    },
  );

  test('what is wrong with the request is said first', async () => {
    const { body, status } = await post(`${sidecar.url}/v1/data/${METERED}/allow`, '{"input": ');
    expect([status, body.code]).toEqual([400, 'invalid_parameter']);
  });

  test('usage is settled and decisions are looked up all the same: that takes no policy', async () => {
    const decision_id = `${uuidv7()}.0`;
    const report = await post(`${sidecar.url}/v1/usage`, { decision_id, outcome: 'succeeded', usage: { input: 1 } });
    expect([report.status, report.body.code]).toEqual([404, 'resource_not_found']);
    expect((await get(`${sidecar.url}/v1/decisions/${decision_id}`)).status).toBe(404);
  });

  test.each([
    ['/health', 200, /^$/],
    ['/health?bundles', 500, /^one or more bundles are not activated/],
    ['/health?plugins', 500, /^one or more plugins are not up/],
    ['/health?plugins&exclude-plugin=bundle', 200, /^$/],
    ['/health?bundles&plugins', 500, /^one or more bundles are not activated/],
    ['/health/ready', 500, /./],
  ])('%s as OPA', async (path, status, error) => {
    for (const url of [sidecar.url, opa]) {
      const reply = await get(`${url}${path}`);
      expect([url, reply.status]).toEqual([url, status]);
      expect(reply.body.error ?? '').toMatch(error);
    }
  });

  test('the process lives, and says why it is not ready', async () => {
    expect((await get(`${sidecar.url}/health/live`)).status).toBe(200);
    expect((await get(`${sidecar.url}/health/ready`)).body.error).toMatch(/not activated: http.*ECONNREFUSED/);
  });

  test('/v1/status as OPA', async () => {
    for (const url of [sidecar.url, opa]) {
      const { result } = (await get(`${url}/v1/status`)).body;
      expect(result.plugins.bundle).toEqual({ state: 'NOT_READY' });
      expect(result.bundles.policy).toMatchObject({
        name: 'policy',
        code: 'bundle_error',
        message: expect.stringMatching(/127\.0\.0\.1/),
        last_request: expect.stringMatching(/^20\d\d-/),
      });
    }
    const { policy } = (await get(`${sidecar.url}/v1/status`)).body.result.bundles;
    expect(policy.active_revision).toBeUndefined();
    // OPA says the year 1.
    expect(policy.last_successful_activation).toBeUndefined();
  });

  test('nowhere is a secret told', async () => {
    const paths = ['/v1/status', '/v1/config', '/health?bundles', '/metrics', `/v1/data/${METERED}`];
    const told = await Promise.all(paths.map(async (path) => JSON.stringify((await get(sidecar.url + path)).body)));
    expect([...told, ...sidecar.process.output].filter((text) => text.includes('secret'))).toEqual([]);
  });
});

test('nothing was taken meanwhile, and with the policy decisions are made without a restart', async () => {
  const port = await freePort();
  const late = await startSidecar(await settings(port));
  expect((await ask(late.url, { ...INPUT, request_id: 'again' })).status).toBe(503);
  await serve(port, await shippedBundle('late'));
  await eventually(async () => expect((await get(`${late.url}/health/ready`)).status).toBe(200), { timeoutMs: 20_000 });
  const { body, status } = await ask(late.url, { ...INPUT, request_id: 'again' });
  expect([status, body.result, body.replayed]).toEqual([200, true, undefined]);
  expect((await get(`${late.url}/health?bundles&plugins`)).status).toBe(200);
});

async function serve(port: number, bundle: Buffer): Promise<void> {
  const server: Server = createServer((_, response) => response.end(bundle));
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  expect((server.address() as AddressInfo).port).toBe(port);
  atTestEnd(async () => {
    server.closeAllConnections();
    server.close();
  });
}
