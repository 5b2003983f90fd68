import { beforeAll, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { Front } from './front.ts';
import { ModelServer } from './model-server.ts';
import { OpenClaw } from './openclaw.ts';
import { OPA_TOKEN, PEOPLE, Product } from './product.ts';
import { Telegram } from './telegram.ts';

let product: Product;
let models: ModelServer;
let telegram: Telegram;
let front: Front;
let openclaw: OpenClaw;

beforeAll(async () => {
  [product, models, telegram] = await Promise.all([Product.start(), ModelServer.start(), Telegram.start()]);
  front = await Front.start(product.sidecar);
  openclaw = await OpenClaw.install({
    models: models.url,
    telegram: telegram.url,
    rating: { type: 'opa', endpoint: `${front.url}/v1/data/openclaw/rate_limit/allow`, auth: { bearer: '$OPA_TOKEN' }, tenant: 'home' },
    env: { OPA_TOKEN },
  });
  await openclaw.start();
}, BRING_TIMEOUT_MS);

test('allowed', async () => {
  console.log(await openclaw.ask('Good morning'));
  console.log(await telegram.say(PEOPLE.ann, 'Hello', /Good day/));
  console.log(await telegram.say(PEOPLE.bob, 'Hello', /./));
  console.log(await telegram.say(PEOPLE.bob, 'Hello', /./));
  console.log(await telegram.say(PEOPLE.sue, 'Hello', /Good day/));
  console.log(await telegram.say(PEOPLE.tim, 'Hello', /Good day/));
  console.log(JSON.stringify(models.calls));
  console.log(front.forwarded.map((f) => JSON.stringify(f)).join('\n'));
  console.log(openclaw.said(/rating/).join('\n'));
  console.log(JSON.stringify((await product.status()).result, null, 1).slice(-900));
  console.log(JSON.stringify([...(await product.budgets())]));
  await new Promise((r) => setTimeout(r, 2000));
  for (const by of ['user', 'model']) console.log(await product.ledger(by, (rows) => JSON.stringify([...rows], null, 0)));
  expect(1).toBe(1);
}, 120_000);
