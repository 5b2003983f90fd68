import { beforeAll, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { Front } from './front.ts';
import { type Counted, ModelServer } from './model-server.ts';
import { OpenClaw } from './openclaw.ts';
import { OPA_TOKEN, PEOPLE, Product } from './product.ts';
import { Telegram } from './telegram.ts';

const TURN_MS = 120_000;
/** In words that OpenClaw does not replace by its own: the message in the sidecar's budgets has all of those that it does. */
const REFUSED = 'Request limit, more requests than allowed, budget, allowance used up: your daily budget is used up.';

let product: Product;
let models: ModelServer;
let telegram: Telegram;
let front: Front;
let openclaw: OpenClaw;
let rating: object;

// Starting a gateway takes longer than all turns: one for all tests here, in their order.
beforeAll(async () => {
  [product, models, telegram] = await Promise.all([Product.start(), ModelServer.start(), Telegram.start()]);
  front = await Front.start(product.sidecar);
  rating = {
    type: 'opa',
    endpoint: `${front.url}/v1/data/openclaw/rate_limit/allow`,
    auth: { bearer: '$OPA_TOKEN' },
    tenant: 'home',
    // A turn of the command line goes on in the agent's session, and has its channel, but no sender.
    identity: { users: { webchat: 'web', none: 'cli' } },
  };
  openclaw = await OpenClaw.install({ models: models.url, telegram: telegram.url, rating, env: { OPA_TOKEN } });
  await openclaw.start();
}, BRING_TIMEOUT_MS);

/** What was called and reported meanwhile. */
async function during<T>(work: () => Promise<T>) {
  const [calls, asked] = [models.calls.length, front.forwarded.length];
  const result = await work();
  const bodies = (path: string) =>
    front.forwarded
      .slice(asked)
      .filter((each) => each.path.startsWith(path))
      .map(({ body }) => JSON.parse(body));
  return {
    result,
    calls: models.calls.slice(calls),
    decisions: () => bodies('/v1/data'),
    reports: () => bodies('/v1/usage'),
  };
}

const inLedger = ({ cache_read, input, output, reasoning }: Counted) => ({
  input_tokens: input,
  output_tokens: output,
  cache_read_tokens: cache_read,
  cache_write_tokens: 0,
  reasoning_tokens: reasoning,
});

const sum = (...all: (Counted | undefined)[]): Counted => {
  const total = (field: keyof Counted) => all.reduce((so, each) => so + (each?.[field] ?? 0), 0);
  return {
    input: total('input'),
    output: total('output'),
    cache_read: total('cache_read'),
    reasoning: total('reasoning'),
  };
};

const ledgerOf = (user: string, expected: object) =>
  product.ledger('user', (rows) => expect(rows.find(({ user_id }) => user_id === user)).toMatchObject(expected));

test('at its start the plugin says in one line what works, and the sidecar shows it as gated', async () => {
  await eventually(() => expect(openclaw.said(/rating-engine: /)).toHaveLength(1));
  expect(
    openclaw.said(/rating-engine: gates every run; decisions of .*; usage goes to .*; on failure deny/),
  ).toHaveLength(1);
  expect(await product.peps()).toMatchObject([{ name: 'rating-engine', gated: true, on_failure: 'deny' }]);
});

let asWeb: (Counted | undefined)[] = [];

test('allowed: the model is called once, and the ledger has exactly what it counted', {
  timeout: TURN_MS,
}, async () => {
  const { calls, result } = await during(() => openclaw.ask('Good morning'));
  expect(result).toEqual({ status: 200, text: 'Good day from big-model' });
  expect(calls).toHaveLength(1);
  asWeb = [calls[0]?.usage];
  await ledgerOf('web', { requests: 1, denied: 0, ...inLedger(sum(...asWeb)) });
});

test('several model calls of one run are one decision, and the ledger has their sum', {
  timeout: TURN_MS,
}, async () => {
  models.behave('big-model', 'tool');
  const { calls, decisions, result } = await during(() => openclaw.ask('What is the status?'));
  models.behave('big-model', 'answer');
  expect(result.text).toBe('Good day from big-model');
  expect(calls).toHaveLength(2);
  expect(decisions()).toHaveLength(1);
  asWeb.push(...calls.map(({ usage }) => usage));
  await ledgerOf('web', { requests: 2, ...inLedger(sum(...asWeb)) });
});

test('the estimate of a run is near what it uses, once runs have been settled', { timeout: TURN_MS }, async () => {
  const { calls, decisions } = await during(() => telegram.say(PEOPLE.ann, 'Good evening', /Good day/));
  const { input_tokens } = decisions()[0].input;
  const { cache_read, input } = sum(calls[0]?.usage);
  // Between the runs of one call and that of two that were seen.
  expect(input_tokens).toBeGreaterThan((input + cache_read) * 0.9);
  expect(input_tokens).toBeLessThan((input + cache_read) * 2);
});

test('two users on Telegram: one is refused, the other goes on, and ledger and budgets tell them apart', {
  timeout: TURN_MS,
}, async () => {
  const first = await during(() => telegram.say(PEOPLE.bob, 'Hello', /Good day/));
  const refused = await during(() => telegram.say(PEOPLE.bob, 'And again', /budget/));
  expect(refused).toMatchObject({ result: REFUSED, calls: [] });
  expect(refused.reports()).toEqual([]);
  const other = await during(() => telegram.say(PEOPLE.ann, 'Hello', /Good day/));
  expect(other.calls).toHaveLength(1);
  await ledgerOf('bob', { requests: 1, denied: 1, ...inLedger(sum(first.calls[0]?.usage)) });
  await ledgerOf('ann', { requests: 2, denied: 0 });
  const budgets = await product.budgets();
  const { cache_read, input, output } = sum(first.calls[0]?.usage);
  expect(budgets.get('bob')).toMatchObject({ daily_used: input + output + cache_read, daily_limit: 15_000 });
  expect(budgets.get('ann')).toMatchObject({ daily_limit: 10_000_000, status: 'ok' });
});

test('over a soft limit: the answer has the warning and the budget under it', { timeout: TURN_MS }, async () => {
  const said = await telegram.say(PEOPLE.sue, 'Hello', /Good day/);
  expect(said).toMatch(
    /^Good day from big-model\n\nYou are over your daily budget\. Your admin has been told\.\nUsed today: \d+ of 10000000\.$/,
  );
});

test('reduced priority: the smaller model is called', { timeout: TURN_MS }, async () => {
  const { calls, result } = await during(() => telegram.say(PEOPLE.tim, 'Hello', /Good day/));
  expect(calls.map(({ model }) => model)).toEqual(['small-model']);
  expect(result).toMatch(/^Good day from small-model\n\nOver budget: the small model answers\.\nUsed today: /);
  await ledgerOf('tim', { requests: 1, ...inLedger(sum(calls[0]?.usage)) });
});

test('refused over HTTP and on the command line: the message is the answer, and no model is called', {
  timeout: TURN_MS,
}, async () => {
  const first = await during(() => openclaw.ask('Hello', { channel: 'sms' }));
  expect(first.result.text).toBe('Good day from big-model');
  const http = await during(() => openclaw.ask('And again', { channel: 'sms' }));
  expect(http).toMatchObject({ result: { status: 200, text: REFUSED }, calls: [] });
  const command = await during(() => openclaw.command('agent', '--agent', 'main', '--message', 'Hello'));
  expect(command.result).toContain(REFUSED);
  expect(command.calls).toEqual([]);
});

test('a run that is given up before the model says a word costs nothing', { timeout: TURN_MS }, async () => {
  models.behave('big-model', 'hang');
  const given = await during(async () => {
    const gone = new AbortController();
    const asked = openclaw.ask('Are you there?', { signal: gone.signal });
    const calls = models.calls.length;
    await eventually(() => expect(models.calls.length).toBe(calls + 1));
    gone.abort();
    await expect(asked).rejects.toThrow('aborted');
  });
  await eventually(() =>
    expect(given.reports()).toMatchObject([{ outcome: 'cancelled', usage: { input: 0, output: 0 } }]),
  );
  models.behave('big-model', 'answer');
  await ledgerOf('web', inLedger(sum(...asWeb)));
});

test.runIf(fullLength)(
  'deny_style block: the message is an error of OpenClaw, in words that no channel replaces',
  {
    timeout: TURN_MS,
  },
  async () => {
    await openclaw.configure({ rating: { ...rating, deny_style: 'block' } });
    const { calls, result } = await during(() => telegram.say(PEOPLE.bob, 'And now?', /budget/));
    expect(result).toBe(`Your message could not be sent: ${REFUSED} (blocked by rating-engine)`);
    expect(calls).toEqual([]);
    await openclaw.configure({ rating });
  },
);

test('429 of the provider: the fallback answers, the model cools down in the status, and the next run leaves it alone', {
  timeout: TURN_MS,
}, async () => {
  models.behave('big-model', { status: 429, retryAfterS: 120 });
  const { calls, reports, result } = await during(() => openclaw.ask('Anybody?'));
  expect(result.text).toBe('Good day from small-model');
  expect(calls.map(({ model }) => model)).toEqual(['big-model', 'small-model']);
  await eventually(() => expect(reports()).toHaveLength(2));
  expect(reports()).toMatchObject([
    {
      outcome: 'failed',
      model: 'lab/big-model',
      usage: { input: 0 },
      error: { status: 429, type: 'rate_limit', retry_after: 120 },
    },
    { outcome: 'succeeded', model: 'lab/small-model' },
  ]);
  const { accounts } = await product.status('/v1/status/providers');
  expect(accounts).toMatchObject([{ models: [{ model: 'lab/big-model', state: 'cooldown' }, { state: 'available' }] }]);
  models.behave('big-model', 'answer');
  const next = await during(() => openclaw.ask('Once more?'));
  expect(next.calls.map(({ model }) => model)).not.toContain('big-model');

  // The other package chooses what stands in.
  const routing = `${front.url}/v1/data/openclaw/routing/allow`;
  await openclaw.configure({ rating: { ...rating, endpoint: routing } });
  const routed = await during(() => openclaw.ask('And now?'));
  expect(routed.result.text).toBe('Good day from small-model');
  expect(routed.calls.map(({ model }) => model)).toEqual(['small-model']);
  await openclaw.configure({ rating });
});
