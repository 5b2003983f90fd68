import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { type Failure, Front } from './front.ts';
import { ModelServer } from './model-server.ts';
import { OpenClaw } from './openclaw.ts';
import { OPA_TOKEN, Product } from './product.ts';

const TIMEOUT_MS = 1_000;
const REFUSED = { status: 200, text: expect.stringMatching(/^I cannot check your budget right now/) };
const ANSWERED = { status: 200, text: 'Good day from big-model' };
const FAILURES: Failure[] = ['down', 'slow', 'status 500', '{}', 'HTML'];

let product: Product;
let models: ModelServer;
let front: Front;
let openclaw: OpenClaw;

const rating = (on_failure: 'deny' | 'allow') => ({
  type: 'opa',
  endpoint: `${front.url}/v1/data/openclaw/rate_limit/allow`,
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the plugin reads it from the environment
  auth: { bearer: '${OPA_TOKEN}' },
  tenant: 'home',
  identity: { users: { webchat: 'ann' } },
  timeout_ms: TIMEOUT_MS,
  on_failure,
});

beforeAll(async () => {
  [product, models] = await Promise.all([Product.start(), ModelServer.start()]);
  front = await Front.start(product.sidecar);
  openclaw = await OpenClaw.install({ models: models.url, rating: rating('deny'), env: { OPA_TOKEN } });
  await openclaw.start();
  expect(await openclaw.ask('Hello')).toEqual(ANSWERED);
}, BRING_TIMEOUT_MS);

/** So many turns at once, each in a session of its own. */
const turns = (many: number, message = 'Hello') =>
  Promise.all(Array.from({ length: many }, (_each, i) => openclaw.ask(message, { user: `user ${i}` })));

const usedByAnn = () => product.budgets().then((users) => users.get('ann')?.daily_used);
/** Reports that could not be sent are tried again ever more rarely. */
const PATIENCE = { timeoutMs: 60_000 };

const inLedger = (check: (requests: number) => void) =>
  product.ledger('user', (rows) => check(rows.find(({ user_id }) => user_id === 'ann')?.requests ?? 0));

describe('on_failure deny', () => {
  test.each(FAILURES)('sidecar %s: refused, and no model is called', { timeout: 240_000 }, async (failure) => {
    const called = models.calls.length;
    await front.fail(failure);
    for (const reply of await turns(fullLength || failure === 'slow' ? 10 : 1)) expect(reply).toEqual(REFUSED);
    expect(models.calls).toHaveLength(called);
    await front.fail(undefined);
    expect(await openclaw.ask('Hello')).toEqual(ANSWERED);
  });

  test('said loudly once for each time it was away', () => {
    expect(openclaw.said(/NO DECISION: .*every run is refused/)).toHaveLength(FAILURES.length);
    expect(openclaw.said(/decisions are made again/)).toHaveLength(FAILURES.length);
  });

  test('a decision that was made and whose answer was lost is given back', { timeout: 120_000 }, async () => {
    await eventually(async () => expect(await usedByAnn()).toBe(sumOfCalls()), PATIENCE);
    await front.fail('lost');
    const asked = front.forwarded.length;
    // By an error of OpenClaw: an answer could only be given before the question that was lost.
    expect((await openclaw.ask('Hello')).status).toBe(500);
    expect(front.forwarded[asked]).toMatchObject({ path: '/v1/data/openclaw/rate_limit/decision', status: 200 });
    expect(await usedByAnn()).toBeGreaterThan(sumOfCalls());
    await front.fail(undefined);
    await eventually(async () => expect(await usedByAnn()).toBe(sumOfCalls()), PATIENCE);
  });
});

/** Decisions of runs that did not take place: the ledger has them as requests that used nothing. */
const givenBack = () =>
  front.forwarded.filter(({ body, path, status }) => {
    return path === '/v1/usage' && status === 200 && JSON.parse(body).outcome === 'cancelled';
  }).length;

/** All that the model server has counted. */
const sumOfCalls = () =>
  models.calls.reduce((sum, { usage }) => sum + (usage ? usage.input + usage.output + usage.cache_read : 0), 0);

describe('on_failure allow', () => {
  beforeAll(() => openclaw.configure({ rating: rating('allow') }), 60_000);

  test.each(FAILURES)('sidecar %s: let through', { timeout: 240_000 }, async (failure) => {
    const called = models.calls.length;
    await front.fail(failure);
    const many = fullLength || failure === 'slow' ? 10 : 1;
    for (const reply of await turns(many)) expect(reply).toEqual(ANSWERED);
    expect(models.calls).toHaveLength(called + many);
    await front.fail(undefined);
  });

  test('back: what was used meanwhile is in the ledger and charged, each run once', { timeout: 120_000 }, async () => {
    await inLedger((requests) => expect(requests).toBe(models.calls.length + givenBack()));
    await eventually(async () => expect(await usedByAnn()).toBe(sumOfCalls()), PATIENCE);
  });

  test.runIf(fullLength)(
    'the gateway is killed while the sidecar is away: what waits is on disk, without a word of anybody, and arrives once',
    {
      timeout: 120_000,
    },
    async () => {
      await front.fail('down');
      for (const reply of await turns(3, 'My secret is swordfish')) expect(reply).toEqual(ANSWERED);
      await eventually(async () => expect((await waiting()).match(/"report"/g)).toHaveLength(3));
      expect(await waiting()).not.toMatch(/swordfish|Good day|the-token/);
      await openclaw.gateway.kill();
      await front.fail(undefined);
      await openclaw.start();
      await inLedger((requests) => expect(requests).toBe(models.calls.length + givenBack()));
      await eventually(async () => expect(await usedByAnn()).toBe(sumOfCalls()), PATIENCE);
      await eventually(async () => expect(await waiting()).toBe(''), PATIENCE);
    },
  );
});

/** What is in the plugin's files. */
async function waiting(): Promise<string> {
  const folder = join(openclaw.stateDir, 'rating-engine');
  const texts = (await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8'));
  return (await Promise.all(texts)).join('');
}
