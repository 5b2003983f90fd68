import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../runtime/config/files.ts';
import { policyData } from '../../runtime/config/policy-data.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { budgetsSchema } from '../../schemas/config/budgets.ts';
import { providersSchema } from '../../schemas/config/providers.ts';
import { type Decision, decisionSchema, type Outcome, type Plan, planSchema } from '../../schemas/policy-io.ts';
import { createScratchStore, type Scratch } from '../../sidecar/simulation/scratch-store.ts';
import { SimulatedClock } from '../../sidecar/simulation/simulated-clock.ts';
import { loadBundle, type WasmPolicy } from './wasm.ts';

/** The committed bundle on the configuration as it is read from YAML, its plans taken from counters that really count. */
const SONNET = 'anthropic/claude-sonnet-4-5';
const HAIKU = 'anthropic/claude-haiku-4-5';
const NOVA = 'bedrock/nova-lite';

const START = Date.parse('2026-11-21T09:00:00Z');

const shipped = loadConfig(join(packageRoot, 'config'));

const tenantsWithRoom = { ...shipped.tenants, defaults: { ...shipped.tenants.defaults, capacity: 10_000_000 } };

const twoAccounts = {
  accounts: {
    'anthropic-main': { provider: 'anthropic', per: 'model', limits: { requests_per_minute: 6 } },
    aws: { provider: 'bedrock', limits: { tokens_per_minute: 1_000 } },
  },
  models: { [SONNET]: { fallback: { models: [HAIKU, NOVA], on: ['rate_limit'], maxAttempts: 2 } } },
};

const onBudgets = (more: object = {}) =>
  budgetsSchema.parse({ per_user_budgets: { default_limits: { daily_tokens: 1_000 }, ...more } });

interface Answer {
  plan: Plan;
  outcome: Outcome;
  decision: Decision;
}

let clock: SimulatedClock;
let scratch: Scratch;

beforeEach(() => {
  clock = new SimulatedClock(START);
  scratch = createScratchStore({ clock });
});

const policyWith = (providers: object, budgets = shipped.budgets): Promise<WasmPolicy> =>
  loadBundle('policies/dist/bundle.tar.gz', {
    config: policyData({ ...shipped, tenants: tenantsWithRoom, providers: providersSchema.parse(providers), budgets }),
  });

/** What a policy sees of an outcome: names and bands, no number. */
const seen = ({ candidate, closed, granted, limits }: Outcome) => ({
  granted,
  candidate,
  closed: closed.map(({ candidate: model, gate }) => ({ candidate: model, gate })),
  limits: limits.map(({ crossed, granted: had, id, on_exceed, over }) => ({
    id,
    granted: had,
    over,
    crossed,
    on_exceed,
  })),
});

let calls = 0;

/** Asks, takes and decides as the sidecar does, always for one tenant. */
async function ask(policy: WasmPolicy, request: object, pkg = 'openclaw/routing'): Promise<Answer> {
  const input = { tenant_id: 'acme', ...request };
  const plan = planSchema.parse(policy.evaluate(`${pkg}/plan`, input));
  const decisionId = `d${calls++}.0`;
  const event = { tenant_id: 'acme' };
  const result = await scratch.store.take({ decisionId, plan, event, fingerprint: decisionId, quiet: true });
  if (result.kind !== 'taken' && result.kind !== 'refused') throw new Error(result.kind);
  const { outcome } = result;
  const decision = decisionSchema.parse(policy.evaluate(`${pkg}/decision`, { ...input, outcome: seen(outcome) }));
  expect(decision.allow).toBe(outcome.granted);
  return { plan, outcome, decision };
}

async function inTurn(times: number, policy: WasmPolicy, request: object, pkg?: string): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let i = 0; i < times; i++) answers.push(await ask(policy, request, pkg));
  return answers;
}

const chosen = (answers: Answer[]) => answers.map(({ outcome }) => outcome.candidate);

test('on the shipped configuration the model asked for is used, and nothing more is counted than without routing', async () => {
  const policy = await policyWith({});
  const { decision, outcome, plan } = await ask(policy, { model: SONNET });
  expect(decision).toMatchObject({ allow: true, reason: 'ok', message: '', obligations: {} });
  const other = await ask(policy, { model: SONNET }, 'openclaw/rate_limit');
  expect(plan.candidates[0]?.limits).toEqual(other.plan.limits);
  expect(outcome.limits.map(({ id }) => id)).toEqual(['tenant:acme:tokens']);
});

describe('a fallback chain', () => {
  test('serves what the limits of the models before it have no room for, and ends in a refusal that says until when', async () => {
    const policy = await policyWith(twoAccounts);
    const answers = await inTurn(15, policy, { model: SONNET, input_tokens: 250, max_output_tokens: 250 });
    const each = (model: string | null, times: number) => Array.from({ length: times }, () => model);
    expect(chosen(answers)).toEqual([...each(SONNET, 6), ...each(HAIKU, 6), ...each(NOVA, 2), null]);
    const [first, stand, last, refused] = [0, 6, 12, 14].map((i) => answers[i]?.decision);
    expect(first).toMatchObject({ reason: 'ok', message: '', obligations: {} });
    expect(stand).toMatchObject({
      reason: 'ok',
      message: `${SONNET} is at its provider's limit of requests a minute; routed to ${HAIKU}.`,
      obligations: { force_model: HAIKU },
    });
    expect(last?.obligations.force_model).toBe(NOVA);
    expect(refused).toMatchObject({ reason: 'provider_unavailable', status: 429 });
    expect(refused?.message).toMatch(
      /limit of tokens a minute\. Try again in \{available_in\}, at \{available_at\}\.$/,
    );
    clock.set(START + 10_000);
    expect(chosen([await ask(policy, { model: SONNET })])).toEqual([SONNET]);
  });

  test('is followed past a gate that is closed: one model cools down, and not its provider', async () => {
    const policy = await policyWith(twoAccounts);
    const gate = { tenantId: 'acme', scope: 'shared:anthropic-main', name: `cooldown:${SONNET}` } as const;
    await scratch.store.setGate(gate, START + 30_000);
    const { decision } = await ask(policy, { model: SONNET });
    expect(decision.message).toBe(`${SONNET} cools down after a rate limit; routed to ${HAIKU}.`);
    expect((await ask(policy, { model: HAIKU })).decision.obligations).toEqual({});
    clock.set(START + 30_000);
    expect(chosen([await ask(policy, { model: SONNET })])).toEqual([SONNET]);
  });

  test('is not followed for what it does not name', async () => {
    const policy = await policyWith(twoAccounts);
    const gate = { tenantId: 'acme', scope: 'shared:anthropic-main', name: `circuit:${SONNET}` } as const;
    await scratch.store.setGate(gate, START + 30_000);
    const { decision, outcome } = await ask(policy, { model: SONNET });
    expect(outcome.candidate).toBeNull();
    expect(decision).toMatchObject({ reason: 'provider_unavailable', status: 503 });
    expect(decision.message).toContain(`${HAIKU} does not stand in after repeated failures`);
  });
});

describe('a rule', () => {
  test('by length and task class forces its model, whichever was asked for', async () => {
    const rules = [
      { when: { input_tokens_below: 500, task_classes: ['chat'] }, model: NOVA },
      { when: { task_classes: ['review'] }, model: SONNET },
    ];
    const policy = await policyWith({ routing: { rules } });
    const to = async (request: object) => (await ask(policy, request)).decision.obligations.force_model;
    expect(await to({ model: HAIKU, task_class: 'chat', prompt_chars: 1_996 })).toBe(NOVA);
    expect(await to({ task_class: 'chat', prompt_chars: 1_996 })).toBe(NOVA);
    expect(await to({ model: HAIKU, task_class: 'chat', prompt_chars: 1_997 })).toBeUndefined();
    expect(await to({ model: HAIKU, task_class: 'review' })).toBe(SONNET);
    expect(await to({ model: SONNET, task_class: 'review' })).toBeUndefined();
  });

  test('by budget applies once so much is used, by whichever package, and the numbers told are those of the budget', async () => {
    const budgets = onBudgets({
      include_budget_in_response: true,
      warnings: [{ at_percent: 50, message: 'half' }],
      on_limit_exceeded: { action: 'hard_stop' },
    });
    const rules = [{ when: { budget_used_percent_from: 80 }, model: NOVA }];
    const policy = await policyWith({ routing: { rules } }, budgets);
    const request = { user_id: 'bob', model: SONNET, estimated_tokens: 200 };
    await ask(policy, request, 'openclaw/rate_limit');
    const answers = await inTurn(5, policy, request);
    expect(chosen(answers)).toEqual([SONNET, SONNET, SONNET, NOVA, null]);
    expect(answers.map(({ decision }) => decision.reason)).toEqual([
      'ok',
      'ok',
      'ok',
      'routed_cheaper',
      'budget_exceeded',
    ]);
    expect(answers[3]?.decision.message).toBe('80 % of the daily budget are used; routed to bedrock/nova-lite.');
    expect(answers[1]?.decision.warnings).toEqual(['half']);
    const day = 'user:bob:tokens:day';
    expect(answers.map(({ decision }) => decision.about)).toEqual(Array.from({ length: 5 }, () => [day]));
    const told = answers.map(({ outcome }) => outcome.limits.find(({ id }) => id === day));
    expect(told.map((limit) => limit?.used_percent)).toEqual([40, 60, 80, 100, 100]);
  });
});

test('the cheaper model of the budgets comes after the chain, and may exceed what only reduces', async () => {
  const reducing = { action: 'reduced_priority', reduced_priority: { force_model: NOVA, message: 'Cheaper.' } };
  const policy = await policyWith(
    { models: { [SONNET]: { fallback: [HAIKU] } } },
    onBudgets({ on_limit_exceeded: reducing }),
  );
  const answers = await inTurn(3, policy, { user_id: 'bob', model: SONNET, estimated_tokens: 500 });
  expect(chosen(answers)).toEqual([SONNET, SONNET, NOVA]);
  expect(answers[2]?.decision).toMatchObject({
    reason: 'routed_cheaper',
    message: 'Cheaper.',
    obligations: { force_model: NOVA },
  });
});

test("without routing the provider's limits hold as well, and the model stays", async () => {
  const policy = await policyWith(twoAccounts);
  const answers = await inTurn(7, policy, { model: SONNET }, 'openclaw/rate_limit');
  expect(chosen(answers).slice(0, 6)).toEqual(Array.from({ length: 6 }, () => SONNET));
  expect(answers[6]?.decision).toMatchObject({
    allow: false,
    reason: 'provider_unavailable',
    status: 429,
    about: [`provider:anthropic-main/${SONNET}:requests`],
  });
});

test('no input makes a plan of another shape', async () => {
  const rules = [
    { when: { budget_used_percent_from: 80, roles: ['viewer'] }, model: NOVA },
    { when: { input_tokens_below: 5, task_classes: ['chat'] }, model: HAIKU },
  ];
  const policy = await policyWith({ ...twoAccounts, routing: { rules } }, onBudgets());
  const values = [
    undefined,
    null,
    '',
    false,
    7,
    -1,
    1e300,
    [SONNET],
    { a: 1 },
    '__proto__',
    'constructor/x',
    '\u{1f916}/x',
  ];
  for (const field of ['model', 'role', 'task_class', 'user_id', 'input_tokens', 'prompt_chars', 'max_output_tokens']) {
    for (const value of values) {
      const input = {
        tenant_id: 'acme',
        user_id: 'bob',
        model: SONNET,
        role: 'viewer',
        task_class: 'chat',
        [field]: value,
      };
      for (const pkg of ['openclaw/routing', 'openclaw/rate_limit']) {
        const { success, error } = planSchema.safeParse(policy.evaluate(`${pkg}/plan`, input));
        expect(success, `${pkg} ${field} ${JSON.stringify(value)}: ${error?.message}`).toBe(true);
      }
    }
  }
});
