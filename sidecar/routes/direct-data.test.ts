import { EventEmitter, once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Hono } from 'hono';
import pino from 'pino';
import { afterEach, expect, test, vi } from 'vitest';
import { readEnvironment } from '../../runtime/config/environment.ts';
import { LiveConfig } from '../../runtime/config/live-config.ts';
import { type Listening, type ListenOptions, listen } from '../../runtime/listen.ts';
import { DEFAULT_LIMITS } from '../../runtime/listener-limits.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { Closers } from '../../runtime/shutdown.ts';
import { TestClock } from '../../test/helpers/clock.ts';
import { tempDir } from '../../test/helpers/temp-dir.ts';
import { createSidecar } from '../sidecar.ts';
import { createScratchStore } from '../simulation/scratch-store.ts';

const TOKEN = 'the-service';
const MAX_BODY_BYTES = 4_000;

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A sidecar on a store of its own; all of them are alike. `beforeTake`: what its takes wait for. */
async function open(beforeTake = async () => {}) {
  const closers = new Closers();
  const clock = new TestClock(Date.parse('2026-11-02T10:00:00Z'));
  const log = pino({ level: 'silent' });
  const environment = readEnvironment({
    CONFIG_DIR: join(packageRoot, 'config'),
    DATA_DIR: await tempDir(),
    POLICY_BUNDLE: join(packageRoot, 'test/policies/metered.tar.gz'),
    POLICY_TIMEOUT_MS: '60000',
    MAX_BODY_BYTES: String(MAX_BODY_BYTES),
    GZIP_MIN_BYTES: '600',
    OPA_TOKEN: TOKEN,
  });
  const config = new LiveConfig({ folder: environment.CONFIG_DIR, clock, log });
  const { store } = createScratchStore({ clock });
  const take = store.take.bind(store);
  store.take = (request) => beforeTake().then(() => take(request));
  const sidecar = await createSidecar({ environment, config, store, clock, log, closers, adminToken: undefined });
  ends.push(() => closers.closeAll());
  return sidecar;
}

async function serve(app: Hono, options: Pick<ListenOptions, 'direct' | 'limits'>): Promise<Listening> {
  const listening = await listen(app, { host: '127.0.0.1', port: 0, variable: 'PORT', ...options });
  ends.push(() => listening.close());
  return listening;
}

const BY_APP = 'by the app';

/** What is not answered directly is answered with a word. */
async function openDirect(limits: ListenOptions['limits'] = DEFAULT_LIMITS, beforeTake?: () => Promise<void>) {
  const { direct } = await open(beforeTake);
  return serve(
    new Hono().all('*', (c) => c.text(BY_APP)),
    { direct, limits },
  );
}

interface Asked {
  path?: string;
  headers?: Record<string, string>;
  body?: unknown;
}

const PATH = '/v1/data/test/metered/allow';

async function ask(url: string, { body, headers = {}, path = PATH }: Asked) {
  const text = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'application/json', ...headers },
    body: text,
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

const limit = (id: string, more: object = {}) => ({
  id,
  subject: { type: 'tenant', id: 'acme' },
  unit: 'requests',
  kind: 'token_bucket',
  capacity: 2,
  cost: 1,
  refill: { amount: 1, per_seconds: 86_400, mode: 'interval' },
  ...more,
});

const input = (more: object = {}) => ({ tenant_id: 'acme', user_id: 'ann', limits: [limit('a')], ...more });

const usual: [name: string, asked: Asked][] = [
  ['allow', { body: { input: input() } }],
  ['the decision', { path: '/v1/data/test/metered/decision', body: { input: input() } }],
  ['the package', { path: '/v1/data/test/metered', body: { input: input() } }],
  ['what no limit has room for', { body: { input: input({ limits: [limit('a', { cost: 3 }), limit('ü')] }) } }],
  ['an id that was granted', { body: { input: input({ request_id: 'r1' }) } }],
  ['the id once more', { body: { input: input({ request_id: 'r1' }) } }],
  ['the id for another input', { body: { input: input({ request_id: 'r1', model: 'x' }) } }],
  ['an id in the header', { headers: { 'Idempotency-Key': 'r2' }, body: { input: input({ limits: [limit('b')] }) } }],
  [
    'the id in the header once more',
    { headers: { 'Idempotency-Key': 'r2' }, body: { input: input({ limits: [limit('b')] }) } },
  ],
  ['names in other scripts', { body: { input: input({ tenant_id: 'åcme', user_id: '用户' }) } }],
  [
    'an answer that is worth packing',
    {
      path: '/v1/data/test/metered',
      body: { input: input({ limits: Array.from({ length: 9 }, (_, n) => limit(`l${n}`)) }) },
    },
  ],
  [
    'the same for who takes no gzip',
    {
      path: '/v1/data/test/metered',
      headers: { 'Accept-Encoding': 'identity' },
      body: { input: input({ limits: Array.from({ length: 9 }, (_, n) => limit(`m${n}`)) }) },
    },
  ],
  ['no tenant', { body: { input: { limits: [] } } }],
  ['no input', { body: {} }],
  ['null', { body: 'null' }],
  ['nothing', { body: '' }],
  ['a list', { body: '[1]' }],
  ['no JSON', { body: '{"input": {' }],
  ['a byte order mark', { body: '\ufeff{}' }],
  ['a number that JSON cannot tell', { body: '{"input": {"tenant_id": "acme", "n": 12345678901234567890}}' }],
  ['a policy that fails', { body: { input: input({ limits: 'none' }) } }],
];

const shown = (headers: Headers) =>
  Object.fromEntries(
    [...headers].filter(([name]) => !['date', 'connection', 'keep-alive', 'transfer-encoding'].includes(name)),
  );

const DECISION_ID = /"decision_id":"[^"]+"/;

test('answers as the routes do', async () => {
  const { app } = await open();
  const [direct, routes] = [await openDirect(), await serve(app, {})];
  for (const [name, asked] of usual) {
    const [ours, theirs] = [await ask(direct.url, asked), await ask(routes.url, asked)];
    const told = ({ headers, status, text }: typeof ours) => ({
      name,
      status,
      headers: { ...shown(headers), 'content-length': text.length },
      text: text.replace(DECISION_ID, ''),
    });
    expect(told(ours)).toEqual(told(theirs));
    expect(DECISION_ID.test(ours.text)).toBe(DECISION_ID.test(theirs.text));
    expect(ours.text).not.toBe(BY_APP);
  }
});

test('leaves to the routes what is not as usual', async () => {
  const { url } = await openDirect();
  const body = { input: input() };
  const packed = gzipSync(JSON.stringify(body));
  const unusual: [name: string, asked: Asked][] = [
    ['parameters', { path: `${PATH}?dry_run=true`, body }],
    ['a path that ends with a slash', { path: `${PATH}/`, body }],
    ['an escape in the path', { path: PATH.replace('allow', '%61llow'), body }],
    ['a way into the document', { path: '/v1/data/test/metered/decision/reason', body }],
    ['a package that is not there', { path: '/v1/data/other/metered/allow', body }],
    ['a packed body', { headers: { 'Content-Encoding': 'gzip' }, body: new Uint8Array(packed) }],
    ['a long body', { body: { input: input({ more: 'x'.repeat(MAX_BODY_BYTES) }) } }],
    ['a token that is nobody’s', { headers: { Authorization: 'Bearer other' }, body }],
  ];
  for (const [name, asked] of unusual) expect([name, (await ask(url, asked)).text]).toEqual([name, BY_APP]);
  expect(await (await fetch(`${url}${PATH}`)).text()).toBe(BY_APP);
});

/** Says it byte for byte, and gives what came back until the connection ended. */
async function say(port: number, ...parts: string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let said = '';
  socket.on('data', (data) => {
    said += data.toString();
  });
  for (const part of parts) socket.write(part);
  await once(socket, 'close');
  return said;
}

const head = (...more: string[]) =>
  [`POST ${PATH} HTTP/1.1`, 'Host: a', `Authorization: Bearer ${TOKEN}`, 'Connection: close', ...more, '', ''].join(
    '\r\n',
  );

test('a header that comes twice, a body of unknown length and a host that is none are for the routes', async () => {
  const { port } = await openDirect();
  const body = JSON.stringify({ input: input() });
  const length = `Content-Length: ${body.length}`;
  expect(await say(port, head(length), body)).toContain('"result":true');
  expect(await say(port, head(length, 'Authorization: Bearer other'), body)).toContain(BY_APP);
  expect(await say(port, head('Transfer-Encoding: chunked'), '2\r\n{}\r\n0\r\n\r\n')).toContain(BY_APP);
  expect(await say(port, head(length).replace('Host: a', 'Host: 1.2.3.4.5'), body)).toContain('names no host');
});

test('who goes away before its body is whole leaves its place to others', async () => {
  const { port, url } = await openDirect({ ...DEFAULT_LIMITS, requests: 1 });
  for (let times = 0; times < 3; times++) {
    const socket = connect(port, '127.0.0.1');
    socket.write(`${head('Content-Length: 100')}{"input":`);
    await once(socket, 'connect');
    socket.destroy();
  }
  await vi.waitFor(async () => expect((await ask(url, { body: { input: input() } })).text).toContain('"result"'));
});

test('where there is no place the app says so; an answer makes room', async () => {
  const events = new EventEmitter();
  const taking = once(events, 'taking');
  const goOn = once(events, 'go on');
  const { url } = await openDirect({ ...DEFAULT_LIMITS, requests: 1 }, async () => {
    events.emit('taking');
    await goOn;
  });
  const body = { input: input() };
  const first = ask(url, { body });
  await taking;
  const second = await ask(url, { body });
  expect([second.status, second.headers.get('Retry-After')]).toEqual([503, '1']);
  events.emit('go on');
  expect((await first).status).toBe(200);
  for (let times = 0; times < 3; times++) expect((await ask(url, { body })).status).toBe(200);
});
