import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { OPAClient } from '@open-policy-agent/opa';
import { createClient } from 'redis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { get, post, type Reply } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { send } from './opa-cases/send.ts';

/** OPA's API where OPA has no answer of its own: on a package with counters. */
const MAX_BODY_BYTES = 20_000;

let redis: RedisServer;
let sidecar: Service;
let client: ReturnType<typeof createClient>;

beforeAll(async () => {
  redis = await startRedis();
  sidecar = await startSidecar({
    REDIS_URL: redis.url,
    DATA_DIR: await tempDir(),
    STORE_TIMEOUT_MS: '10000',
    MAX_BODY_BYTES: String(MAX_BODY_BYTES),
    OPA_TOKEN: 'not-to-be-shown',
    POLICY_BUNDLE: join(packageRoot, 'test/policies/metered.tar.gz'),
  });
  client = createClient({ url: redis.url });
  await client.connect();
}, BRING_TIMEOUT_MS);

afterAll(async () => {
  client?.destroy();
  await sidecar?.process.stop();
  await redis?.stop();
});

const TOKEN = { Authorization: 'Bearer not-to-be-shown' };

let tenant = 0;
beforeEach(() => {
  tenant += 1;
});

const limit = (id: string, capacity: number, more: object = {}) => ({
  id,
  subject: { type: 'tenant', id: `t${tenant}` },
  unit: 'requests',
  kind: 'token_bucket',
  capacity,
  cost: 1,
  refill: { amount: 1, per_seconds: 86_400, mode: 'interval' },
  ...more,
});

const input = (more: object = {}) => ({ tenant_id: `t${tenant}`, limits: [limit('a', 2)], ...more });

const data = (path: string, given: unknown, headers = {}): Promise<Reply> =>
  post(`${sidecar.url}/v1/data${path && `/${path}`}`, { input: given }, { ...TOKEN, ...headers });

const ask = (given: unknown, query = '') => data(`test/metered/allow${query}`, given);

/** All that the store holds: how long its streams are, and the rest of it as Redis itself writes it. */
async function held(): Promise<Record<string, string>> {
  const keys = (await client.keys('*')).sort();
  const types = await Promise.all(keys.map((key) => client.type(key)));
  const values = await Promise.all(
    keys.map((key, index) => (types[index] === 'stream' ? client.xLen(key) : client.sendCommand(['DUMP', key]))),
  );
  return Object.fromEntries(keys.map((key, index) => [key, String(values[index])]));
}

describe('nothing is taken, and no event is left', () => {
  const asked: [string, () => Promise<Reply>][] = [
    ['a GET', () => get(`${sidecar.url}/v1/data/test/metered/allow?input=${encode(input())}`, TOKEN)],
    ['a dry run', () => ask(input(), '?dry_run=true')],
    ['a dry run of version 0', () => post(`${sidecar.url}/v0/data/test/metered/allow?dry_run`, input(), TOKEN)],
    ['a dry run of a batch', () => batch({ x: input() }, '?dry_run')],
    ['the package above', () => data('test', input())],
    ['the whole tree', () => data('', input())],
    ['the plan', () => data('test/metered/plan', input())],
    ['a name that is none', () => data('test/metered/nope', input())],
    ['an encoded slash', () => data('test%2Fmetered/allow', input())],
    ['a malformed body', () => post(`${sidecar.url}/v1/data/test/metered/allow`, '{"input":', TOKEN)],
    ['another version', () => post(`${sidecar.url}/v2/data/test/metered/allow`, { input: input() }, TOKEN)],
    ['a path that ends with a slash', () => send(sidecar.url, slash()).then(asReply)],
  ];

  test.each(asked)('by %s', async (_, request) => {
    expect((await ask(input())).body.result).toBe(true);
    const before = await held();
    await request();
    expect(await held()).toEqual(before);
    expect((await ask(input())).body.result).toBe(true);
    expect(await held()).not.toEqual(before);
    expect((await ask(input())).body.result).toBe(false);
  });

  const slash = () => ({
    method: 'POST',
    path: '/v1/data/test/metered/allow/',
    headers: TOKEN,
    body: JSON.stringify({ input: input() }),
  });
});

const encode = (given: unknown) => encodeURIComponent(JSON.stringify(given));
const asReply = ({ status }: { status: number }): Reply => ({ status, headers: new Headers(), body: {} });

const batch = (inputs: Record<string, unknown>, query = ''): Promise<Reply> =>
  post(`${sidecar.url}/v1/batch/data/test/metered/allow${query}`, { inputs }, TOKEN);

describe('the documents above a metered package', () => {
  test('are what a dry run says', async () => {
    const { allow, decision } = (await data('test', input())).body.result.metered;
    expect({ allow, reason: decision.reason }).toEqual({ allow: true, reason: 'ok' });
    for (let times = 0; times < 2; times += 1) await ask(input());
    const { body, headers } = await data('', input());
    expect(body.result.test.metered).toMatchObject({ allow: false, decision: { reason: 'rate_limited' } });
    expect(body).not.toHaveProperty('decision_id');
    expect(headers.get('RateLimit')).toBeNull();
  });

  test('are empty for who names no tenant', async () => {
    expect((await get(`${sidecar.url}/v1/data`, TOKEN)).body).toEqual({ result: { test: { metered: {} } } });
    expect((await data('test', { limits: [] })).body.result).toEqual({ metered: {} });
  });
});

describe('explain', () => {
  test('says each counter before and after, and which limit decided', async () => {
    const given = input({ limits: [limit('wide', 100), limit('narrow', 2)] });
    await ask(given);
    const { body } = await ask(given, '?explain=full');
    expect(body.explanation).toMatchObject([
      { op: 'limit', limit: 'wide', decided: false, granted: true, before: 1, after: 2, capacity: 100, remaining: 98 },
      { op: 'limit', limit: 'narrow', decided: true, granted: true, before: 1, after: 2, capacity: 2, remaining: 0 },
      { op: 'decision', allow: true, reason: 'ok' },
    ]);
    expect(body).not.toHaveProperty('warning');
    const refused = await ask(given, '?explain=notes');
    expect(refused.body.explanation).toMatchObject([
      { limit: 'wide', decided: false, granted: true, before: 2, after: 2 },
      { limit: 'narrow', decided: true, granted: false, before: 2, after: 2, retry_after_ms: expect.any(Number) },
      { op: 'decision', allow: false, reason: 'rate_limited' },
    ]);
  });

  test('in sentences, for people', async () => {
    expect((await ask(input({ limits: [limit('a', 2)] }), '?explain=full&pretty')).body.explanation).toEqual([
      'a (deny): room: 0 before, 1 after, of 2; this one decided',
      'allowed: ok',
    ]);
  });

  test('a refusal of the plan, and a policy that fails', async () => {
    const refuse = { reason: 'unknown_model', status: 403, message: 'no' };
    const { explanation } = (await ask({ tenant_id: 'x', refuse }, '?explain=full')).body;
    expect(explanation).toMatchObject([{ op: 'plan' }, { op: 'decision', allow: false, reason: 'unknown_model' }]);
    const failed = (await ask({ tenant_id: 'x', break_plan: true }, '?explain=full')).body;
    expect(failed.explanation).toMatchObject([{ op: 'decision', allow: false, reason: 'policy_error' }]);
  });

  test('is not there unless asked for', async () => {
    expect((await ask(input())).body).not.toHaveProperty('explanation');
    expect((await ask(input(), '?explain=off')).body).not.toHaveProperty('explanation');
  });
});

test('provenance names the policy that decided, and metrics say how long it took', async () => {
  const { body } = await ask(input(), '?provenance&metrics');
  const { result } = (await get(`${sidecar.url}/v1/status`, TOKEN)).body;
  expect(body.provenance.bundles.policy.revision).toBe(result.bundles.policy.active_revision);
  expect(body.metrics.timer_server_handler_ns).toBeGreaterThan(0);
  expect(body.metrics.timer_rego_query_eval_ns).toBeLessThanOrEqual(body.metrics.timer_server_handler_ns);
});

test('version 0 takes, and answers the bare document', async () => {
  const answers = [];
  for (let times = 0; times < 3; times += 1) {
    const { body, headers } = await post(`${sidecar.url}/v0/data/test/metered/allow`, input(), TOKEN);
    answers.push(JSON.parse(body));
    expect(headers.get('RateLimit')).toMatch(/^"a";r=/);
  }
  expect(answers).toEqual([true, true, false]);
  const missing = await post(`${sidecar.url}/v0/data/test/metered/allow`, '', TOKEN);
  expect(missing.body).toMatchObject({ code: 'invalid_parameter', errors: [{ code: 'unknown_tenant' }] });
});

describe('a batch', () => {
  const proto = (value: object) => JSON.parse(`{"__proto__":${JSON.stringify(value)}}`);

  test('takes for each, and answers each by its id', async () => {
    const { body, status } = await batch({ one: input(), two: input(), three: input(), ...proto(input()) });
    expect(status).toBe(200);
    expect(Object.keys(body.responses)).toEqual(['one', 'two', 'three', '__proto__']);
    const answers: { result: boolean; decision_id: string }[] = Object.values(body.responses);
    expect(answers.filter(({ result }) => result)).toHaveLength(2);
    expect(new Set(answers.map(({ decision_id }) => decision_id)).size).toBe(4);
  });

  test('says of each that fails why, in a form that the OPA client reads', async () => {
    const inputs = { right: input(), wrong: { limits: [] } };
    const { body, status } = await batch(inputs);
    expect(status).toBe(207);
    expect(body.responses.right).toMatchObject({ http_status_code: '200', result: true });
    expect(body.responses.wrong).toMatchObject({ http_status_code: '500', code: 'invalid_parameter' });
    const opa = new OPAClient(sidecar.url, { headers: TOKEN });
    const answers = await opa.evaluateBatch('test/metered/allow', inputs);
    expect(answers).toMatchObject({ right: true, wrong: { code: 'invalid_parameter' } });
    const all = await opa.evaluateBatch('test/metered/allow', { x: input() });
    expect(all).toEqual({ x: false });
  });

  test('of which all are wrong is wrong, and so is one of another shape or too many', async () => {
    const wrong = await batch({ x: { limits: [] } });
    expect(wrong.status).toBe(400);
    expect(wrong.body).toMatchObject({ code: 'invalid_parameter', responses: { x: { code: 'invalid_parameter' } } });
    for (const body of ['{}', '[]', '', '{"inputs":[]}', '{"inputs":null}']) {
      const reply = await post(`${sidecar.url}/v1/batch/data/test/metered/allow`, body, TOKEN);
      expect(reply, body).toMatchObject({ status: 400, body: { code: 'invalid_parameter' } });
    }
    const many = Object.fromEntries(Array.from({ length: 1_001 }, (_, index) => [index, 1]));
    expect((await batch(many)).body.message).toMatch(/1000 inputs at most, not 1001/);
    expect((await batch({})).body).toEqual({ responses: {} });
  });
});

describe('input that would be altered on its way is refused, whichever way it comes', () => {
  const ways: [string, (json: string) => Promise<Reply>][] = [
    ['version 1', (json) => post(`${sidecar.url}/v1/data/test/metered/allow`, `{"input":${json}}`, TOKEN)],
    ['version 0', (json) => post(`${sidecar.url}/v0/data/test/metered/allow`, json, TOKEN)],
    ['a batch', (json) => post(`${sidecar.url}/v1/batch/data/test/metered/allow`, `{"inputs":{"x":${json}}}`, TOKEN)],
    ['a GET', (json) => get(`${sidecar.url}/v1/data/test/metered/allow?input=${encodeURIComponent(json)}`, TOKEN)],
    ['a plain document', (json) => post(`${sidecar.url}/v1/data/test/metered/plan`, `{"input":${json}}`, TOKEN)],
    ['the package above', (json) => post(`${sidecar.url}/v1/data/test`, `{"input":${json}}`, TOKEN)],
  ];
  const inputs = {
    'a number above 2^53': '9007199254740993',
    'a number below -2^53': '-9007199254740993',
    'a number without end': '1e400',
    'a number too small': '1e-400',
    'a fraction with too many digits': '0.1234567890123456789',
    'half a surrogate pair': '"\\ud83d"',
    'half a surrogate pair as a name': '{"\\ude00":1}',
    'nesting of 300 levels': `${'['.repeat(300)}${']'.repeat(300)}`,
  };

  test.each(ways)('%s', async (_, way) => {
    for (const [what, json] of Object.entries(inputs)) {
      const before = await held();
      const given = JSON.stringify(input({ extra: 'EXTRA' })).replace('"EXTRA"', json);
      expect(await way(given), what).toMatchObject({ status: 400, body: { code: 'invalid_parameter' } });
      expect(await held()).toEqual(before);
    }
    expect(await way(JSON.stringify(input({ extra: [1.5, '1e400', 2 ** 53 - 1, '\ud83d\ude00'] })))).toMatchObject({
      status: 200,
    });
  });
});

describe('a body that is packed, or comes in parts', () => {
  const path = '/v1/data/test/metered/plan';
  const packed = (bytes: Buffer, headers = {}) =>
    send(sidecar.url, {
      method: 'POST',
      path,
      headers: { ...TOKEN, 'Content-Encoding': 'gzip', ...headers },
      body_base64: bytes.toString('base64'),
    });
  const chunked = (body: string, headers = {}) =>
    send(sidecar.url, {
      method: 'POST',
      path,
      body,
      headers: { ...TOKEN, 'Transfer-Encoding': 'chunked', ...headers },
    });
  const text = () => JSON.stringify({ input: input() });

  test('is read', async () => {
    expect(await packed(gzipSync(text()))).toMatchObject({ status: 200 });
    expect(await chunked(text())).toMatchObject({ status: 200 });
    expect(JSON.parse((await chunked(text())).text).result.limits).toHaveLength(1);
  });

  test.each([
    [
      'longer unpacked than it may be',
      () => packed(gzipSync(`{"input":"${'x'.repeat(MAX_BODY_BYTES)}"}`)),
      /too large/,
    ],
    ['longer than it may be in parts', () => chunked(`{"input":"${'x'.repeat(MAX_BODY_BYTES)}"}`), /too large/],
    ['longer than it may be at once', () => packed(Buffer.alloc(MAX_BODY_BYTES + 1)), /too large/],
    ['cut short', () => packed(gzipSync(text()).subarray(0, 40)), /could not decompress/],
    ['empty', () => packed(Buffer.alloc(0)), /could not decompress/],
    ['of another size than it says', () => packed(withSize(gzipSync(text()), 1)), /could not decompress/],
    ['in an encoding that is not known', () => packed(gzipSync(text()), { 'Content-Encoding': 'br' }), /must be gzip/],
    ['packed twice', () => packed(gzipSync(text()), { 'Content-Encoding': 'gzip, gzip' }), /must be gzip/],
  ])('is refused if it is %s', async (_, request, message) => {
    const reply = await request();
    expect(reply).toMatchObject({ status: 400, headers: { 'content-type': 'application/json' } });
    expect(JSON.parse(reply.text)).toMatchObject({
      code: 'invalid_parameter',
      message: expect.stringMatching(message),
    });
  });

  test('does not fill the memory, whatever it would unpack to', async () => {
    const bomb = gzipSync(Buffer.alloc(18_000_000));
    expect(bomb.length).toBeLessThan(MAX_BODY_BYTES);
    const replies = await Promise.all(Array.from({ length: 100 }, () => packed(bomb)));
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([400]));
    // All of them unpacked would be 1.8 GB.
    const { body } = await get(`${sidecar.url}/metrics`);
    expect(Number(/^process_resident_memory_bytes (\d+)/m.exec(body)?.[1])).toBeLessThan(1_000_000_000);
  });

  /** The last four bytes of a gzip file say how long it is unpacked. */
  function withSize(bytes: Buffer, size: number): Buffer {
    bytes.writeUInt32LE(size, bytes.length - 4);
    return bytes;
  }
});

describe('status and configuration', () => {
  test('say what is in force, and no secret', async () => {
    const status = await get(`${sidecar.url}/v1/status`, TOKEN);
    expect(status.body.result).toMatchObject({
      labels: { id: expect.any(String), version: expect.stringMatching(/^\d/) },
      bundles: { policy: { active_revision: expect.any(String), last_successful_activation: expect.any(String) } },
      plugins: { bundle: { state: 'OK' } },
    });
    const config = await get(`${sidecar.url}/v1/config?pretty`, TOKEN);
    expect(config.body.result).toMatchObject({ labels: status.body.result.labels, default_decision: '/system/main' });
    expect(config.body.result.sidecar).toMatchObject({ MAX_BODY_BYTES, ON_STORE_FAILURE: 'deny' });
    expect(JSON.stringify([config.body, status.body])).not.toContain('not-to-be-shown');
  });

  test('want the token, as all but health and metrics do', async () => {
    for (const path of ['/v1/status', '/v1/config', '/v1/data', '/v1/policies', '/v1/query?q=1', '/v1/compile']) {
      expect(await get(`${sidecar.url}${path}`), path).toMatchObject({ status: 401, body: { code: 'unauthorized' } });
    }
    for (const path of ['/', '/v0/data/test', '/v1/batch/data/test', '/v1/usage', '/v1/compile/x']) {
      expect((await post(`${sidecar.url}${path}`, {})).status, path).toBe(401);
    }
    for (const path of ['/health', '/health/live', '/health/ready', '/health?bundles&plugins', '/metrics']) {
      expect((await get(`${sidecar.url}${path}`)).status, path).toBe(200);
    }
  });

  test('the durations of requests are counted by route, method and status, and by nothing else', async () => {
    for (const path of ['/a', '/b/c', '/v1/data/x/y', '/v1/database']) await get(`${sidecar.url}${path}`, TOKEN);
    await send(sidecar.url, { method: 'PURGE', path: '/a' });
    const { body } = await get(`${sidecar.url}/metrics`);
    const lines = (body as string).split('\n').filter((line) => line.startsWith('http_request_duration_seconds_count'));
    const label = (name: string) => new Set(lines.map((line) => new RegExp(`${name}="([^"]*)"`).exec(line)?.[1]));
    expect(label('handler')).toContain('v1/data');
    expect(
      [...label('handler')].every((handler) => /^(catchall|index|health|metrics|v[01]\/[a-z/]+)$/.test(handler ?? '')),
    ).toBe(true);
    expect(label('method')).toEqual(new Set(['get', 'post', 'unknown']));
  });
});
