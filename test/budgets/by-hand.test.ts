import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import type { Decision } from '../../schemas/policy-io.ts';
import type { Policy } from '../../sidecar/policy/policy.ts';
import { Desk, type Input, NOON, policyOn, told, use } from './pipeline.ts';

/** Worked out with pencil and paper from the file as it is printed, and these groups beside it. */
const GROUPS = `
department_budgets:
  rnd: { daily_tokens: 80000, action: hard_stop }
  ops: { daily_tokens: 80000, action: soft_limit }
project_budgets: { apollo: { monthly_tokens: 300000, action: hard_stop } }
team_budgets: { data: { monthly_tokens: 700000, action: reduced_priority } }
tenant_budgets: { globex: { daily_tokens: 60000, action: hard_stop } }
`;

const TOMORROW = '2026-05-16T00:00:00.000Z';
const IN_JUNE = '2026-06-01T00:00:00.000Z';
const HAIKU = 'anthropic/claude-3-haiku';
const SONNET = 'anthropic/claude-sonnet-4-5';

type Spent = [who: Partial<Input>, day: number, month: number];
type Wanted = Omit<Decision, 'about'>;
type Row = [what: string, spent: Spent[], asked: Partial<Input>, tokens: number, wanted: Wanted];

const alice = { user_id: 'user_alice' };
const bob = { user_id: 'user_bob' };
const dave = { user_id: 'dave' };
const notice = (limit: string, percent: number) => ({ to: 'admin', kind: 'budget', limit, percent });
const footer = (numbers: string, reset = TOMORROW) => `Your usage: ${numbers}. Resets: ${reset}`;
const approaching = (used: string, left: number, reset: string) =>
  `You've used ${used} token budget. Remaining: ${left} tokens. Resets: ${reset}`;
const ok: Omit<Wanted, 'obligations'> = { allow: true, reason: 'ok', status: 200, message: '', warnings: [] };
const flagged: Omit<Wanted, 'obligations'> = {
  allow: true,
  reason: 'over_soft_limit',
  status: 200,
  message: '…',
  warnings: [],
};
const stopped = (reset: string): Wanted => ({
  allow: false,
  reason: 'budget_exceeded',
  status: 429,
  message: `… resets at ${reset}`,
  warnings: [],
  obligations: {},
});
const routed: Omit<Wanted, 'obligations'> = {
  allow: true,
  reason: 'routed_cheaper',
  status: 200,
  message: 'Over budget. Routing to Haiku.',
  warnings: [],
};

const SOFT: Row[] = [
  [
    'alice at 45,000 and 890,000 goes on, and is told of the day, of which she has used more',
    [[alice, 45_000, 890_000]],
    alice,
    1_000,
    { ...ok, obligations: { footer: footer('46000/100000 tokens (46%)') } },
  ],
  [
    'bob at 25,000 and 520,000 is over both',
    [[bob, 25_000, 520_000]],
    bob,
    1_000,
    { ...flagged, obligations: { footer: footer('26000/25000 tokens (104%)') } },
  ],
  [
    'to exactly 100 % of the day is within it, and the admin hears of it',
    [[bob, 24_000, 24_000]],
    bob,
    1_000,
    {
      ...ok,
      obligations: { footer: footer('25000/25000 tokens (100%)'), notify: [notice('user:user_bob:tokens:day', 100)] },
    },
  ],
  [
    'one token below 75 % is no news',
    [[bob, 17_749, 17_749]],
    bob,
    1_000,
    { ...ok, obligations: { footer: footer('18749/25000 tokens (74%)') } },
  ],
  [
    'exactly 75 %',
    [[bob, 17_750, 17_750]],
    bob,
    1_000,
    {
      ...ok,
      warnings: ["You've used 75% of your daily token budget", approaching('75% of your daily', 6_250, TOMORROW)],
      obligations: { footer: footer('18750/25000 tokens (75%)'), notify: [notice('user:user_bob:tokens:day', 75)] },
    },
  ],
  [
    'exactly 90 %',
    [[bob, 21_500, 21_500]],
    bob,
    1_000,
    {
      ...ok,
      warnings: [
        "You've used 90% of your daily budget. Limit will be enforced at 100%",
        approaching('90% of your daily', 2_500, TOMORROW),
      ],
      obligations: { footer: footer('22500/25000 tokens (90%)'), notify: [notice('user:user_bob:tokens:day', 90)] },
    },
  ],
  [
    'past two thresholds at once: the highest for the user, both for the admin',
    [],
    bob,
    24_000,
    {
      ...ok,
      warnings: [
        "You've used 90% of your daily budget. Limit will be enforced at 100%",
        approaching('96% of your daily', 1_000, TOMORROW),
      ],
      obligations: {
        footer: footer('24000/25000 tokens (96%)'),
        notify: [notice('user:user_bob:tokens:day', 75), notice('user:user_bob:tokens:day', 90)],
      },
    },
  ],
  [
    'of the month the template alone tells: the warnings speak of days',
    [[bob, 0, 374_000]],
    bob,
    1_000,
    {
      ...ok,
      warnings: [approaching('75% of your monthly', 125_000, IN_JUNE)],
      obligations: {
        footer: footer('375000/500000 tokens (75%)', IN_JUNE),
        notify: [notice('user:user_bob:tokens:month', 75)],
      },
    },
  ],
  ['nobody has no budget', [], {}, 1_000_000, { ...ok, obligations: {} }],
  [
    "the department's hard stop stops a user who has room",
    [[{ department_id: 'rnd' }, 80_000, 80_000]],
    { ...dave, department_id: 'rnd' },
    1,
    stopped(TOMORROW),
  ],
  [
    "the project's month",
    [[{ project_id: 'apollo' }, 0, 300_000]],
    { ...dave, project_id: 'apollo' },
    1,
    stopped(IN_JUNE),
  ],
  [
    "the project's hard stop is stricter than the user's soft limit",
    [
      [{ project_id: 'apollo' }, 0, 299_999],
      [dave, 60_000, 60_000],
    ],
    { ...dave, project_id: 'apollo' },
    2,
    stopped(IN_JUNE),
  ],
  [
    "the team's cheaper model, and the footer of the user, who is not over",
    [[{ team_id: 'data' }, 0, 700_000]],
    { ...dave, team_id: 'data', model: SONNET },
    500,
    { ...routed, obligations: { force_model: HAIKU, footer: footer('500/50000 tokens (1%)') } },
  ],
  [
    "the tenant's day stops whoever asks",
    [[{ tenant_id: 'globex' }, 60_000, 60_000]],
    { tenant_id: 'globex' },
    1,
    stopped(TOMORROW),
  ],
  [
    'without a project the project is not asked',
    [[{ project_id: 'apollo' }, 0, 300_000]],
    dave,
    500,
    { ...ok, obligations: { footer: footer('500/50000 tokens (1%)') } },
  ],
];

const HARD: Row[] = [
  ['bob, used up', [[bob, 25_000, 25_000]], bob, 1, stopped(TOMORROW)],
  ['bob, one token too many', [[bob, 24_000, 24_000]], bob, 1_001, stopped(TOMORROW)],
  [
    'bob, the last token',
    [[bob, 24_999, 24_999]],
    bob,
    1,
    {
      ...ok,
      obligations: { footer: footer('25000/25000 tokens (100%)'), notify: [notice('user:user_bob:tokens:day', 100)] },
    },
  ],
  ['bob, whose month is used up', [[bob, 0, 500_000]], bob, 1, stopped(IN_JUNE)],
  ['bob, over both: the later reset', [[bob, 25_000, 500_000]], bob, 1, stopped(IN_JUNE)],
  ['dave has the default', [[dave, 50_000, 50_000]], dave, 1, stopped(TOMORROW)],
  [
    'an admin has the default too, as it is stricter',
    [[dave, 50_000, 50_000]],
    { ...dave, role: 'admin' },
    1,
    stopped(TOMORROW),
  ],
  ['a viewer has 10,000', [[dave, 10_000, 10_000]], { ...dave, role: 'viewer' }, 1, stopped(TOMORROW)],
  [
    "alice's override takes the place of her role's 10,000",
    [[alice, 50_000, 50_000]],
    { ...alice, role: 'viewer' },
    1_000,
    { ...ok, obligations: { footer: footer('51000/100000 tokens (51%)') } },
  ],
  [
    'a department with a soft limit lets go on',
    [[{ department_id: 'ops' }, 80_000, 80_000]],
    { ...dave, department_id: 'ops' },
    1_000,
    { ...flagged, obligations: { footer: footer('1000/50000 tokens (2%)') } },
  ],
];

const REDUCED: Row[] = [
  [
    'alice, over her day',
    [[alice, 100_000, 100_000]],
    { ...alice, model: SONNET },
    1_000,
    { ...routed, obligations: { force_model: HAIKU, footer: footer('101000/100000 tokens (101%)') } },
  ],
  [
    'alice, with room',
    [[alice, 50_000, 50_000]],
    { ...alice, model: SONNET },
    1_000,
    { ...ok, obligations: { footer: footer('51000/100000 tokens (51%)') } },
  ],
  [
    'alice, who asks for the cheaper model herself: nothing to force',
    [[alice, 100_000, 100_000]],
    { ...alice, model: HAIKU },
    1_000,
    {
      ...flagged,
      message: 'Over budget. Routing to Haiku.',
      obligations: { footer: footer('101000/100000 tokens (101%)') },
    },
  ],
  [
    'alice over her month, which would only reduce, in a department whose day stops her: it is the day that she hears of',
    [
      [alice, 0, 2_000_000],
      [{ department_id: 'rnd' }, 80_000, 80_000],
    ],
    { ...alice, department_id: 'rnd', model: SONNET },
    1_000,
    stopped(TOMORROW),
  ],
];

describe.each([
  ['soft_limit', SOFT],
  ['hard_stop', HARD],
  ['reduced_priority', REDUCED],
])('%s', (action, rows) => {
  let policy: Policy;

  beforeAll(async () => {
    const printed = await readFile(join(packageRoot, 'test/budgets/printed/budgets.yaml'), 'utf8');
    policy = await policyOn({ 'budgets.yaml': printed.replace('action: soft_limit ', `action: ${action} `) + GROUPS });
  });

  test.each(rows)('%s', async (_, spent, asked, tokens, wanted) => {
    const desk = new Desk(policy, NOON);
    for (const [who, day, month] of spent) await use(desk, { tenant_id: 'acme', ...who }, { day, month });
    expect(told(await desk.ask({ tenant_id: 'acme', ...asked, estimated_tokens: tokens }))).toEqual(wanted);
  });
});

describe('where the bucket is short', () => {
  const files = (action: string) => ({
    'tenants.yaml': `defaults: { capacity: 5, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month } }\n`,
    'budgets.yaml': `per_user_budgets:
  default_limits: { daily_tokens: 1000, monthly_tokens: 1000 }
  on_limit_exceeded: { action: ${action}, reduced_priority: { force_model: ${HAIKU}, message: Haiku. } }
`,
  });

  test.each(['soft_limit', 'hard_stop', 'reduced_priority'])(
    'the bucket is what a denial tells of, though the budget is used up too (%s)',
    async (action) => {
      const desk = new Desk(await policyOn(files(action)), NOON);
      const asked = { tenant_id: 'acme', ...dave, model: SONNET, estimated_tokens: 2_000 };
      const isBudget = action === 'hard_stop';
      expect(told(await desk.ask(asked))).toMatchObject({
        allow: false,
        reason: isBudget ? 'budget_exceeded' : 'rate_limited',
        status: 429,
        message: isBudget
          ? `Your daily budget of 1000 tokens is used up. It resets at ${TOMORROW}.`
          : expect.stringMatching(/more than the 5 tokens left of the daily allowance of 5\./),
      });
    },
  );
});

test('a bucket that has room only for the cheaper model routes to it as well, and says so', async () => {
  const tenants = `defaults: { capacity: 50, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month } }\n`;
  const budgets = `per_user_budgets:
  default_limits: { daily_tokens: 1000 }
  on_limit_exceeded: { action: reduced_priority, reduced_priority: { force_model: ${HAIKU}, message: Over budget. } }
`;
  const desk = new Desk(await policyOn({ 'tenants.yaml': tenants, 'budgets.yaml': budgets }), NOON);
  const ask = () => desk.ask({ tenant_id: 'acme', ...dave, model: SONNET, estimated_tokens: 10 });
  // Sonnet weighs 105, Haiku 9: of 50 that is five times.
  for (let time = 0; time < 5; time++) {
    expect(told(await ask())).toMatchObject({
      allow: true,
      reason: 'routed_cheaper',
      message: `Too little is left of the daily allowance for this model. Routing to ${HAIKU}.`,
      obligations: { force_model: HAIKU },
    });
  }
  expect(told(await ask())).toMatchObject({ allow: false, reason: 'rate_limited' });
});

test('per_user_budgets that are not enabled leave those of groups as they are', async () => {
  const policy = await policyOn({ 'budgets.yaml': `per_user_budgets: { enabled: false }\n${GROUPS}` });
  const desk = new Desk(policy, NOON);
  expect((await desk.ask({ tenant_id: 'acme', ...dave, estimated_tokens: 10_000_000 })).outcome?.limits).toHaveLength(
    1,
  );
  const asked = { tenant_id: 'acme', ...dave, department_id: 'rnd', estimated_tokens: 80_001 };
  expect(told(await desk.ask(asked))).toMatchObject({ allow: false, reason: 'budget_exceeded' });
});
