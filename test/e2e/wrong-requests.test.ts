import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newDecisionId } from '../../sidecar/decision/decision-id.ts';
import { type AllInOne, startAllInOne } from '../helpers/all-in-one.ts';
import { ask, get, post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const TOKEN = { Authorization: 'Bearer service-token' };
const MAX_BODY_BYTES = 10_000;

let running: AllInOne;
let url: string;

beforeAll(async () => {
  running = await startAllInOne({
    DATA_DIR: await tempDir(),
    OPA_TOKEN: 'service-token',
    MAX_BODY_BYTES: String(MAX_BODY_BYTES),
  });
  url = `${running.sidecar}/v1/data/openclaw/rate_limit/allow`;
}, 120_000);

afterAll(() => running?.process.stop());

/** What is left in acme's bucket: no wrong request may change it. */
async function remaining(): Promise<string> {
  const { headers } = await get(`${url}?input=${encodeURIComponent('{"tenant_id":"acme"}')}`, TOKEN);
  return headers.get('RateLimit')?.replace(/;t=\d+/, '') ?? '';
}

const body = (input: string) => `{"input": ${input}}`;

describe("gets an error in OPA's shape, takes nothing, and leaves the process healthy", () => {
  test.each<[string, string, Record<string, string>, number, string, RegExp]>([
    ['bad JSON', '{"input": @}', TOKEN, 400, 'invalid_parameter', /body contains malformed input document/],
    ['truncated JSON', '{"input": {', TOKEN, 400, 'invalid_parameter', /malformed input document/],
    ['no token', body('{"tenant_id":"acme"}'), {}, 401, 'unauthorized', /^request rejected by administrative policy$/],
    [
      'a wrong token',
      body('{"tenant_id":"acme"}'),
      { Authorization: 'Bearer service-tokem' },
      401,
      'unauthorized',
      /rejected/,
    ],
    [
      'half a token',
      body('{"tenant_id":"acme"}'),
      { Authorization: 'Bearer service' },
      401,
      'unauthorized',
      /rejected/,
    ],
    [
      'another scheme',
      body('{"tenant_id":"acme"}'),
      { Authorization: 'Basic service-token' },
      401,
      'unauthorized',
      /rejected/,
    ],
    [
      'a body too large',
      body(`{"tenant_id":"acme","x":"${'x'.repeat(MAX_BODY_BYTES)}"}`),
      TOKEN,
      400,
      'invalid_parameter',
      /longer than 10000 bytes/,
    ],
    [
      'a number above 2^53',
      body('{"tenant_id":"acme","input_tokens":9007199254740993}'),
      TOKEN,
      400,
      'invalid_parameter',
      /number outside/,
    ],
    [
      'an infinite number',
      body('{"tenant_id":"acme","input_tokens":1e400}'),
      TOKEN,
      400,
      'invalid_parameter',
      /number outside/,
    ],
    ['no tenant', body('{}'), TOKEN, 400, 'invalid_parameter', /input\.tenant_id is missing/],
    ['no input', '', TOKEN, 400, 'invalid_parameter', /input\.tenant_id is missing/],
    [
      'a tenant that is no text',
      body('{"tenant_id":7}'),
      TOKEN,
      400,
      'invalid_parameter',
      /input\.tenant_id must be a string/,
    ],
    ['input that is no object', body('"acme"'), TOKEN, 400, 'invalid_parameter', /input must be an object/],
    ['a lone surrogate', body('{"tenant_id":"\\ud800"}'), TOKEN, 400, 'invalid_parameter', /valid Unicode/],
    [
      'nesting without end',
      body(`${'['.repeat(4_000)}${']'.repeat(4_000)}`),
      TOKEN,
      400,
      'invalid_parameter',
      /input must be an object/,
    ],
  ])('%s', async (_, text, headers, status, code, message) => {
    const before = await remaining();
    const reply = await post(url, text, headers);
    expect(reply.status).toBe(status);
    expect(reply.headers.get('Content-Type')).toMatch(/^application\/json/);
    expect(reply.body).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(await remaining()).toBe(before);
    expect((await get(`${running.sidecar}/health`)).status).toBe(200);
  });
});

test('a usage report that is wrong says what is wrong, and an unknown decision is 404', async () => {
  const report = (more: object) =>
    post(`${running.sidecar}/v1/usage`, { decision_id: 'x.0', outcome: 'succeeded', ...more }, TOKEN);
  for (const amount of [-1, 1.5, '5', 2 ** 53, null, []]) {
    const reply = await report({ usage: { input: amount } });
    expect(reply.status, JSON.stringify(amount)).toBe(400);
    expect(reply.body).toMatchObject({ code: 'invalid_parameter', message: expect.stringContaining('usage.input') });
  }
  expect((await report({ outcome: 'maybe' })).status).toBe(400);
  expect((await report({ surprise: 1 })).body.message).toMatch(/surprise/);
  const unknown = await report({ usage: { input: 1 } });
  expect(unknown.status).toBe(404);
  expect(unknown.body.code).toBe('resource_not_found');
});

test('a report of a decision older than 24 hours is 410 and says where a correction goes, of a younger one that nobody knows 404', async () => {
  const report = (ageMs: number) =>
    post(
      `${running.sidecar}/v1/usage`,
      { decision_id: newDecisionId(Date.now() - ageMs, 0), outcome: 'succeeded', usage: { input: 1 } },
      TOKEN,
    );
  const day = 24 * 60 * 60 * 1_000;
  const gone = await report(day + 60_000);
  expect(gone.status).toBe(410);
  expect(gone.body).toEqual({
    code: 'resource_gone',
    message: expect.stringMatching(/older than 24 hours.*adjustment/),
  });
  const young = await report(day - 60_000);
  expect(young.status).toBe(404);
  expect(young.body.code).toBe('resource_not_found');
});

test('the billing API wants the admin token, and says what is wrong with a question', async () => {
  const usage = `${running.billing}/v1/usage?tenant_id=acme`;
  expect((await get(usage)).status).toBe(401);
  expect((await get(usage, TOKEN)).status).toBe(401);
  const admin = { Authorization: `Bearer ${running.adminToken}` };
  const wrong = await get(`${usage}&group_by=colour`, admin);
  expect(wrong.status).toBe(400);
  expect(wrong.body).toMatchObject({ code: 'invalid_parameter', message: expect.stringMatching(/group_by.*tenant/) });
});

test('after all of that, a right request is allowed', async () => {
  const reply = await post(url, { input: { tenant_id: 'acme' } }, TOKEN);
  expect(reply.body.result).toBe(true);
  expect(await ask(running.sidecar, { tenant_id: 'acme' })).toMatchObject({ status: 401 });
});
