import { expect, test } from 'vitest';
import { budgetOf, Desk, NOON, policyOn, told } from './pipeline.ts';

const SONNET = 'anthropic/claude-sonnet-4-5';
const HAIKU = 'anthropic/claude-3-haiku';
const TEAM = 'team:data:usd:month';

const file = (action: string) => `per_user_budgets:
  enabled: false
  on_limit_exceeded:
    action: soft_limit
    hard_stop: { message: "{tokens_used} of {tokens_limit} are spent, {tokens_remaining} are left" }
    reduced_priority: { force_model: ${HAIKU}, message: "Haiku." }
team_budgets: { data: { usd: "0.02", action: ${action} } }
`;

/** 1,000 tokens in and 500 out. */
const CALL = { tenant_id: 'acme', team_id: 'data', input_tokens: 1_000, max_output_tokens: 500 };

const desk = async (action: string) => new Desk(await policyOn({ 'budgets.yaml': file(action) }), NOON);

test.each([
  // 1,000 × $3.00 / 1M + 500 × $15.00 / 1M = $0.0105
  [SONNET, 10_500_000],
  ['anthropic/claude-sonnet-4-5-20250301', 10_500_000],
  // 1,000 × $0.25 / 1M + 500 × $1.25 / 1M = $0.000875
  [HAIKU, 875_000],
  // 1,000 × $0.035 / 1M + 500 × $0.14 / 1M = $0.000105
  ['bedrock/nova-micro', 105_000],
  // Without a price it draws on no money.
  ['lab/unheard-of', 0],
])('a call of %s costs %d nano-dollars', async (model, nanos) => {
  const answer = await (await desk('hard_stop')).ask({ ...CALL, model });
  expect(budgetOf(answer, TEAM)).toMatchObject({ before: 0, used: nanos, capacity: 20_000_000 });
});

test('what a hard stop tells is in dollars, and a cheaper call still fits', async () => {
  const team = await desk('hard_stop');
  expect(told(await team.ask({ ...CALL, model: SONNET }))).toMatchObject({ allow: true, reason: 'ok' });
  expect(told(await team.ask({ ...CALL, model: SONNET }))).toMatchObject({
    allow: false,
    reason: 'budget_exceeded',
    message: '$0.0105 of $0.02 are spent, $0.0095 are left',
  });
  expect(told(await team.ask({ ...CALL, model: HAIKU }))).toMatchObject({ allow: true, reason: 'ok' });
});

test('where the dearer model does not fit, the cheaper one is forced, and charged at its own price', async () => {
  const team = await desk('reduced_priority');
  await team.ask({ ...CALL, model: SONNET });
  const routed = await team.ask({ ...CALL, model: SONNET });
  expect(told(routed)).toMatchObject({
    allow: true,
    reason: 'routed_cheaper',
    message: 'Haiku.',
    obligations: { force_model: HAIKU },
  });
  expect(budgetOf(routed, TEAM)).toMatchObject({ before: 10_500_000, used: 11_375_000 });
});
