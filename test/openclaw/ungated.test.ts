import { beforeAll, describe, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { ModelServer } from './model-server.ts';
import { OpenClaw } from './openclaw.ts';
import { otherWays } from './other-ways.suite.ts';
import { OPA_TOKEN, PEOPLE, Product } from './product.ts';
import { Telegram } from './telegram.ts';

let product: Product;
let models: ModelServer;
let telegram: Telegram;
let openclaw: OpenClaw;
let rating: object;

const TURN_MS = 120_000;
const NOT_SET_UP = 'The budget check of this assistant is not set up, so I may not answer. Please tell the admin.';

describe('a plugin without access to conversations', () => {
  beforeAll(async () => {
    [product, models, telegram] = await Promise.all([Product.start(), ModelServer.start(), Telegram.start()]);
    rating = {
      type: 'opa',
      endpoint: `${product.sidecar}/v1/data/openclaw/rate_limit/allow`,
      auth: { bearer: OPA_TOKEN },
      tenant: 'home',
    };
    openclaw = await OpenClaw.install({ models: models.url, telegram: telegram.url, rating, hooks: {} });
    await openclaw.start();
  }, BRING_TIMEOUT_MS);

  test('without allowConversationAccess the log says so in one line, and the status shows the PEP as ungated', async () => {
    await eventually(() => expect(openclaw.said(/rating-engine: /)).toHaveLength(1));
    expect(openclaw.said(/rating-engine: NOT GATED: .*hooks\.allowConversationAccess is not true/)).toHaveLength(1);
    expect(await product.peps()).toMatchObject([
      { gated: false, why: expect.stringContaining('allowConversationAccess') },
    ]);
  });

  test.runIf(fullLength)(
    'messages of a channel are refused; what comes over HTTP is let through',
    { timeout: TURN_MS },
    async () => {
      expect(await telegram.say(PEOPLE.ann, 'Hello', /./)).toBe(NOT_SET_UP);
      expect(models.calls).toEqual([]);
      expect(await openclaw.ask('Hello')).toEqual({ status: 200, text: 'Good day from big-model' });
    },
  );

  test('once it is set, the gate works without a restart, and the status says so', { timeout: TURN_MS }, async () => {
    await openclaw.configure({ hooks: { allowConversationAccess: true } });
    await eventually(async () => expect(await product.peps()).toMatchObject([{ gated: true }]));
    expect(await telegram.say(PEOPLE.ann, 'Hello', /Good day/)).toMatch(/Used today: /);
  });

  test('a token that the environment does not have: everything is refused, and the log says which', {
    timeout: TURN_MS,
  }, async () => {
    const calls = models.calls.length;
    await openclaw.configure({ rating: { ...rating, auth: { bearer: '$NO_SUCH_TOKEN' } } });
    await eventually(() =>
      expect(openclaw.said(/NO DECISIONS: the environment has no NO_SUCH_TOKEN; every run is refused/)).toHaveLength(1),
    );
    expect(await telegram.say(PEOPLE.ann, 'Hello', /./)).toBe(NOT_SET_UP);
    expect((await openclaw.ask('Hello')).status).toBe(500);
    expect(models.calls).toHaveLength(calls);
  });
});

if (fullLength) describe('ways to a model beside those of people', otherWays);
