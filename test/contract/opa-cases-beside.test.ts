import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { type Request, send } from './opa-cases/send.ts';
import { type Servers, startServers } from './opa-cases/servers.ts';

/** What the recorded cases do not ask: put to the sidecar and to a real OPA in the same moment. */
let servers: Servers;

beforeAll(async () => {
  servers = await startServers(['default', 'limits']);
}, BRING_TIMEOUT_MS);

afterAll(() => servers?.stop());

const both = (request: Request, instance: 'default' | 'limits' = 'default') =>
  Promise.all([send(servers.sidecar[instance], request), send(servers.opa[instance], request)]);

const get = (path: string, headers = {}): Request => ({ method: 'GET', path, headers });
const post = (path: string, body: string, headers = {}): Request => ({ method: 'POST', path, body, headers });
const input = (value: unknown) => `input=${encodeURIComponent(JSON.stringify(value))}`;

describe('to the letter', () => {
  test.each<Request>([
    get('/v1/data/conf/hello?pretty'),
    get('/v1/data/conf/arr?pretty=true'),
    get('/v1/data/conf/arr?pretty=TRUE'),
    get('/v1/data/conf/hello?pretty=1'),
    get('/v1/data/conf/hello?pretty=false'),
    get(`/v1/data/conf/kind?${input(null)}`),
    get('/v1/data/conf/kind'),
    get(`/v1/data/conf/echo/1?${input([7, 8])}`),
    get(`/v1/data/conf/echo/9?${input([7, 8])}`),
    get(`/v1/data/conf/echo/x?${input([7, 8])}`),
    get(`/v1/data/conf/echo/a%2Fb/c%20d?${input({ 'a/b': { 'c d': 1 } })}`),
    get(`/v1/data/conf/echo/a/b?${input({ 'a/b': 1 })}`),
    get(`/v1/data/conf/echo/1?${input({ 1: 'one' })}`),
    get('/v1/data/conf%2Fhello'),
    get('/v1/data/conf/hello?explain=notes'),
    get('/v1/data/conf/hello?explain=off'),
    get('/v1/data/conf/hello/?pretty'),
    get('/health/'),
    get('/nope/'),
    post('/v1/data/conf/kind', '{"input":null}'),
    post('/v1/data/conf/echo', '{"input":0}'),
    post('/v1/data/conf/echo', '{"input":""}'),
    post('/v1/data/conf/echo', '{"input":[]}'),
    post('/v1/data/conf/hello', ' \n'),
    post('/v1/data/conf/hello?strict-builtin-errors=false', '{"input":{}}'),
    post('/v1/data/conf/div/p', '{"input":{"zero":0}}'),
    post('/v0/data/conf/kind', ''),
    post('/v0/data/conf/kind', 'null'),
    post('/v0/data/conf/arr?pretty', '{}'),
    post('/v0/data/conf/undef', '{}'),
    post('/v0/data/conf/a%20b', '{}'),
    post('/', '{"xs":[1,2]}'),
    post('/?pretty', '{"xs":[1,2]}'),
    post('/', '{}'),
    post('/nope', '{}'),
    { method: 'HEAD', path: '/v1/data/conf/hello' },
    { method: 'HEAD', path: '/nope' },
    { method: 'QUERY', path: '/v1/data/conf/hello' },
  ])('%j', async (request) => {
    const [ours, theirs] = await both(request);
    expect({ status: ours.status, type: ours.headers['content-type'], text: ours.text }).toEqual({
      status: theirs.status,
      type: theirs.headers['content-type'],
      text: theirs.text,
    });
    expect(ours.headers.location).toBe(theirs.headers.location);
    expect(ours.headers['content-encoding']).toBe(theirs.headers['content-encoding']);
  });
});

describe('in status and code', () => {
  test.each<Request>([
    post('/v1/data/conf/echo', '[]'),
    post('/v1/data/conf/echo', '"x"'),
    post('/v1/data/conf/echo', '{"input":{"a":1}'),
    post('/v1/data/conf/conflict/p', '{"input":{"one":1,"two":1}}'),
    post('/v1/data/conf', '{"input":{"one":1,"two":1}}'),
    post('/v0/data/conf/conflict/p', '{"one":1,"two":1}'),
    get('/v1/data/conf/echo?input=1%201'),
    get('/v1/data/conf/echo?input='),
  ])('%j', async (request) => {
    const [ours, theirs] = await both(request);
    const seen = ({ status, text }: typeof ours) => ({ status, code: JSON.parse(text).code });
    expect(theirs.status).toBeGreaterThanOrEqual(400);
    expect(seen(ours)).toEqual(seen(theirs));
  });

  test('a body that is longer unpacked than it may be', async () => {
    const bomb = gzipSync(`{"input":"${'x'.repeat(100_000)}"}`);
    const headers = { 'Content-Encoding': 'gzip' };
    const request = { method: 'POST', path: '/v1/data/conf/kind', headers, body_base64: bomb.toString('base64') };
    const [ours, theirs] = await both(request, 'limits');
    expect(ours.status).toBe(theirs.status);
    for (const reply of [ours, theirs]) {
      expect(JSON.parse(reply.text)).toMatchObject({ code: 'invalid_parameter' });
      expect(reply.text).toContain('request body too large');
    }
  });
});

describe('in what the answer says beside the result', () => {
  test('metrics have the timers of OPA', async () => {
    const [ours, theirs] = await both(post('/v1/data/conf/hello?metrics', '{"input":{}}'));
    const timers = (text: string) => Object.keys(JSON.parse(text).metrics).filter((name) => name.startsWith('timer_'));
    expect(timers(theirs.text)).toEqual(expect.arrayContaining(timers(ours.text)));
    expect(timers(ours.text)).toContain('timer_server_handler_ns');
    const more = JSON.parse((await both(get('/v1/data/conf/hello?instrument')))[0].text);
    expect(Object.values(more.metrics).every((value) => Number.isSafeInteger(value) && Number(value) >= 0)).toBe(true);
  });

  test.each([
    ['strict-builtin-errors', /has no effect/],
    ['explain=full', /leaves no trace/],
  ])('what %s would ask for in vain is said in a warning', async (query, message) => {
    const [ours, theirs] = await both(post(`/v1/data/conf/hello?${query}`, '{"input":{}}'));
    const { explanation, warning, ...rest } = JSON.parse(ours.text);
    expect(warning).toEqual({ code: 'api_usage_warning', message: expect.stringMatching(message) });
    expect(JSON.parse(theirs.text)).toMatchObject(rest);
  });

  test('a number above 2^53 that a policy makes is exact in OPA, and rounded in the sidecar', async () => {
    const sum = async (...xs: number[]) =>
      (await both(post('/v1/data/conf/sum_xs', JSON.stringify({ input: { xs } })))).map(({ text }) => text.trim());
    expect(await sum(0.1, 0.2)).toEqual(['{"result":0.3}', '{"result":0.3}']);
    expect(await sum(2 ** 53 - 1, 2)).toEqual(['{"result":9007199254740992}', '{"result":9007199254740993}']);
  });

  test('provenance has the same fields, and the revision of the bundle', async () => {
    const [ours, theirs] = await both(get('/v1/data/conf/hello?provenance'));
    const { bundles, ...own } = JSON.parse(ours.text).provenance;
    expect(Object.keys(own)).toEqual(Object.keys(JSON.parse(theirs.text).provenance));
    expect(bundles).toEqual({ policy: { revision: expect.stringMatching(/^[0-9a-f]{16}$/) } });
  });

  test('a package has the documents of its entrypoints, as OPA has all of them', async () => {
    const [ours, theirs] = await both(get(`/v1/data/conf?${input({ user: 'alice', xs: [1], req1: 2 })}`));
    const { emptymod, members, ...rest } = JSON.parse(theirs.text).result;
    expect(emptymod).toEqual({});
    const own = JSON.parse(ours.text).result;
    expect(own.members.sort()).toEqual(members);
    expect({ ...own, members: undefined }).toEqual({ ...rest, members: undefined });
    expect(rest).toMatchObject({ allow: true, conflict: {}, more: {}, echo: { user: 'alice' } });
  });
});
