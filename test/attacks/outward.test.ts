import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, readdir, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { shippedBundle, unpackFiles } from '../helpers/bundles.ts';
import { eventually } from '../helpers/eventually.ts';
import { signingKey } from '../helpers/issuer.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { ask, get, post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { RawSocket } from './raw-socket.ts';

interface Heard {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
}

type Answer = (heard: Heard) => { status: number; headers?: Record<string, string>; body?: Buffer };

/** A server that writes down what it is asked. */
async function listener(answer: Answer): Promise<{ url: string; heard: Heard[] }> {
  const heard: Heard[] = [];
  const server = createServer((request, response) => {
    const one = { method: request.method ?? '', path: request.url ?? '', headers: request.headers };
    heard.push(one);
    request.resume();
    const { body, headers, status } = answer(one);
    response.writeHead(status, headers).end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  atTestEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, heard };
}

const SECRETS = ['bundle-token', 'log-token', 'webhook-secret', 'trace-key'];
const ESCAPE = 'escaped-from-a-bundle';

/** The bundle that is shipped, and beside its files some that would like to be elsewhere. */
async function hostileBundle(): Promise<Buffer> {
  const tar = pack();
  for (const name of [
    `../../../../../../../../tmp/${ESCAPE}`,
    `/tmp/${ESCAPE}`,
    `a/../../${ESCAPE}`,
    `..\\${ESCAPE}`,
    '__proto__/polluted',
  ]) {
    tar.entry({ name }, 'x');
  }
  tar.entry({ name: 'data.json', type: 'symlink', linkname: '/etc/passwd' });
  tar.entry({ name: 'policy.wasm', type: 'link', linkname: '/etc/passwd' });
  tar.entry({ name: ESCAPE, type: 'directory' });
  tar.entry({ name: 'pipe', type: 'fifo' });
  tar.entry({ name: 'disk', type: 'block-device', devmajor: 8, devminor: 0 });
  for (const [name, bytes] of await unpackFiles(await shippedBundle('hostile-names'))) tar.entry({ name }, bytes);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return gzipSync(Buffer.concat(chunks));
}

const BUDGETS = `per_user_budgets:
  enabled: true
  default_limits: { daily_tokens: 100 }
  on_limit_exceeded: { action: soft_limit, soft_limit: { message: "over", notify_admin: true } }
`;
const AUTH = (jwks: string) => `authentication:
  { enabled: true, method: jwt, require_auth: true, issuer: "https://issuer.example", audience: sidecar, jwks_url: "${jwks}" }
`;

let sidecar: Service;
/** Where redirects lead, which no one has configured. */
let elsewhere: Awaited<ReturnType<typeof listener>>;
/** What the operator has configured; it sends everybody elsewhere. */
let configured: Awaited<ReturnType<typeof listener>>;
let dataDir: string;

beforeAll(async () => {
  const bundle = await hostileBundle();
  elsewhere = await listener(({ path }) =>
    path.startsWith('/bundle') ? { status: 200, body: bundle } : { status: 200 },
  );
  configured = await listener(({ path }) => ({ status: 307, headers: { Location: `${elsewhere.url}${path}` } }));
  const [redis, dir] = await Promise.all([startRedis(), tempDir('outward')]);
  dataDir = join(dir, 'data');
  const configDir = join(dir, 'config');
  await cp(join(packageRoot, 'config'), configDir, { recursive: true });
  await writeFile(join(configDir, 'budgets.yaml'), BUDGETS);
  await writeFile(join(configDir, 'auth.yaml'), AUTH(`${configured.url}/jwks`));
  sidecar = await startSidecar({
    REDIS_URL: redis.url,
    CONFIG_DIR: configDir,
    DATA_DIR: dataDir,
    OPA_TOKEN: 'service-token',
    POLICY_BUNDLE: `${configured.url}/bundle.tar.gz`,
    POLICY_BUNDLE_TOKEN: 'bundle-token',
    DECISION_LOGS: 'http',
    DECISION_LOG_URL: configured.url,
    DECISION_LOG_TOKEN: 'log-token',
    NOTIFY_SLACK_URL: `${configured.url}/slack`,
    NOTIFY_WEBHOOK_URL: `${configured.url}/hook`,
    NOTIFY_WEBHOOK_SECRET: 'webhook-secret',
    OTEL_EXPORTER_OTLP_ENDPOINT: configured.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'api-key=trace-key',
    STORE_TIMEOUT_MS: '10000',
    POLICY_TIMEOUT_MS: '10000',
  });
}, 60_000);

const SERVICE = { Authorization: 'Bearer service-token' };
const PATH = '/v1/data/openclaw/rate_limit/decision';

test('who is sent elsewhere takes no credential along, and sends nothing there', async () => {
  const input = { tenant_id: 'acme', user_id: 'alice', estimated_tokens: 500 };
  const { body } = await post(`${sidecar.url}${PATH}`, { input }, SERVICE);
  expect(body.result.obligations.notify).toBeDefined();
  const asked = () => new Set(configured.heard.map(({ path }) => path.split('?')[0]));
  await eventually(() =>
    expect([...asked()].sort()).toEqual(['/bundle.tar.gz', '/hook', '/jwks', '/logs', '/slack', '/v1/traces']),
  );
  for (const [path, header, value] of [
    ['/bundle.tar.gz', 'authorization', 'Bearer bundle-token'],
    ['/logs', 'authorization', 'Bearer log-token'],
    ['/v1/traces', 'api-key', 'trace-key'],
  ]) {
    expect(configured.heard.find((one) => one.path === path)?.headers[header as string]).toBe(value);
  }
  // A bundle may lie elsewhere, as at a store of objects; nothing else is followed.
  expect([...new Set(elsewhere.heard.map(({ method, path }) => `${method} ${path}`))]).toEqual(['GET /bundle.tar.gz']);
  for (const secret of SECRETS) expect(JSON.stringify(elsewhere.heard)).not.toContain(secret);
});

test('a bundle writes no file but the one that is kept, whatever its files are called', async () => {
  const status = await get(`${sidecar.url}/v1/status`, SERVICE);
  expect(JSON.stringify(status.body)).toContain('hostile-names');
  const files = await readdir(join(dataDir, '..'), { recursive: true });
  expect(files.filter((file) => file.includes(ESCAPE))).toEqual([]);
  for (const path of [`/tmp/${ESCAPE}`, join(packageRoot, ESCAPE), join(packageRoot, '..', ESCAPE)])
    expect(existsSync(path)).toBe(false);
  // Links lead nowhere: what is behind the same name as a file counts.
  const { body } = await post(`${sidecar.url}/v1/data`, { input: { tenant_id: 'acme' } }, SERVICE);
  expect(JSON.stringify(body)).not.toContain('root:');
});

test('no address in a request is ever asked', { timeout: 60_000 }, async () => {
  const bait = await listener(() => ({ status: 200, body: Buffer.from('{"keys":[]}') }));
  const url = `${bait.url}/bait`;
  const host = bait.url.slice('http://'.length);
  const key = await signingKey('bait');
  const claims = { iss: bait.url, sub: url, aud: url, exp: 4_000_000_000 };
  const tokens = await Promise.all([
    key.sign(claims, { jku: url, kid: url }),
    key.sign(claims, { x5u: url, kid: '../../../../dev/null' }),
    key.sign({ ...claims, iss: 'https://issuer.example', aud: 'sidecar' }, { jwk: key.public, jku: url }),
  ]);
  const names = [
    'tenant_id',
    'user_id',
    'team_id',
    'agent_id',
    'channel',
    'sender_id',
    'model',
    'run_id',
    'url',
    'webhook',
    'endpoint',
    'callback_url',
  ];
  const input = Object.fromEntries(names.map((name) => [name, url]));
  const headers = {
    Referer: url,
    Origin: bait.url,
    'X-Forwarded-Host': host,
    'X-Forwarded-Server': host,
    'X-Original-URL': url,
    'X-Rewrite-URL': url,
    Forwarded: `host=${host}`,
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    tracestate: `x=${host}`,
    baggage: `url=${encodeURIComponent(url)}`,
  };
  const { body } = await post(
    `${sidecar.url}${PATH}?url=${encodeURIComponent(url)}`,
    { input },
    { ...SERVICE, ...headers },
  );
  const report = {
    decision_id: body.decision_id,
    tenant_id: url,
    outcome: 'failed',
    model: url,
    headers: { location: url },
    error: { status: 429, headers: { location: url, link: `<${url}>; rel=next` } },
  };
  await post(`${sidecar.url}/v1/usage`, report, SERVICE);
  await post(`${sidecar.url}/v1/peps`, { id: url, name: url, gated: false, why: url, on_failure: 'deny' }, SERVICE);
  for (const token of tokens) {
    expect((await post(`${sidecar.url}${PATH}`, { input }, { Authorization: `Bearer ${token}` })).status).toBe(401);
  }
  for (const line of [
    `GET ${url} HTTP/1.1\r\nHost: ${host}`,
    `POST ${url} HTTP/1.1\r\nHost: a`,
    `CONNECT ${host} HTTP/1.1\r\nHost: ${host}`,
    `GET //${host}/bait HTTP/1.1\r\nHost: a`,
    `GET /authz HTTP/1.1\r\nHost: ${host}`,
  ]) {
    const socket = await RawSocket.open(sidecar.url);
    await socket.write(`${line}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`).over();
    expect(socket.said).not.toMatch(/^location: (https?:)?\/\//im);
  }
  // Long enough for what is sent beside the answers: logs and spans go within a second.
  const logged = configured.heard.filter(({ path }) => path === '/logs').length;
  await ask(sidecar.url, { tenant_id: 'acme' });
  await eventually(() =>
    expect(configured.heard.filter(({ path }) => path === '/logs').length).toBeGreaterThan(logged + 1),
  );
  expect(bait.heard).toEqual([]);
});
