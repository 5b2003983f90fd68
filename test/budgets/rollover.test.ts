import { beforeAll, describe, expect, test } from 'vitest';
import type { Policy } from '../../sidecar/policy/policy.ts';
import { budgetOf, Desk, policyOn, told } from './pipeline.ts';

const DAVE = { tenant_id: 'acme', user_id: 'dave' };

const file = (enabled: boolean) => `per_user_budgets:
  default_limits: { daily_tokens: 50000, monthly_tokens: 1000000 }
  rollover: { enabled: ${enabled}, max_rollover_tokens: 20000 }
  include_budget_in_response: true
  on_limit_exceeded: { action: hard_stop }
`;

describe('what a user does not use', () => {
  let policy: Policy;
  let desk: Desk;

  beforeAll(async () => {
    policy = await policyOn({ 'budgets.yaml': file(true) });
  });

  /** Takes so much on a day in May, and gives what the user had that day. */
  const takes = async (day: number, tokens: number) => {
    desk.set(Date.UTC(2026, 4, day, 9));
    const answer = await desk.ask({ ...DAVE, estimated_tokens: tokens });
    return { had: budgetOf(answer, 'user:dave:tokens:day').capacity, ...told(answer) };
  };

  test('30,000 of 50,000 with a cap of 20,000: 70,000 the next day, after an idle day again, and never more', async () => {
    desk = new Desk(policy, '2026-05-01T00:00:00Z');
    expect(await takes(1, 20_000)).toMatchObject({ had: 50_000, allow: true });
    expect(await takes(2, 35_000)).toMatchObject({
      had: 70_000,
      obligations: { footer: 'Your usage: 35000/70000 tokens (50%). Resets: 2026-05-03T00:00:00.000Z' },
    });
    expect(await takes(4, 1)).toMatchObject({ had: 70_000 });
    expect(await takes(11, 1)).toMatchObject({ had: 70_000 });
    expect(await takes(11, 69_999)).toMatchObject({ allow: true });
    expect(await takes(11, 1)).toMatchObject({
      allow: false,
      message: 'Your daily budget of 70000 tokens is used up. It resets at 2026-05-12T00:00:00.000Z.',
    });
    expect(await takes(12, 50_000)).toMatchObject({ had: 50_000, allow: true });
    expect(await takes(13, 50_001)).toMatchObject({ had: 50_000, allow: false });
  });

  test('is not carried into a first day, be it the last of a month', async () => {
    for (const day of [1, 2, 15, 31]) {
      desk = new Desk(policy, '2026-05-01T00:00:00Z');
      expect(await takes(day, 50_001)).toMatchObject({ had: 50_000, allow: false });
    }
  });

  test('less than the cap is carried as it is', async () => {
    desk = new Desk(policy, '2026-05-01T00:00:00Z');
    await takes(1, 43_210);
    expect(await takes(2, 1)).toMatchObject({ had: 56_790 });
  });

  test('debt is not carried, and is forgiven at the reset', async () => {
    desk = new Desk(policy, '2026-05-01T08:00:00Z');
    const call = await desk.ask({ ...DAVE, estimated_tokens: 100 });
    await desk.settle(call, 80_000);
    expect(await takes(1, 1)).toMatchObject({ allow: false });
    expect(await takes(2, 50_000)).toMatchObject({ had: 50_000, allow: true });
  });

  test('of a month goes into the next, and is no more than the cap either', async () => {
    desk = new Desk(policy, '2026-05-31T08:00:00Z');
    await desk.ask({ ...DAVE, estimated_tokens: 1 });
    desk.set('2026-06-01T08:00:00Z');
    const answer = await desk.ask({ ...DAVE, estimated_tokens: 1 });
    expect(budgetOf(answer, 'user:dave:tokens:month').capacity).toBe(1_020_000);
  });
});

test('nothing is carried where rollover is not enabled', async () => {
  const desk = new Desk(await policyOn({ 'budgets.yaml': file(false) }), '2026-05-01T08:00:00Z');
  await desk.ask({ ...DAVE, estimated_tokens: 1 });
  desk.set('2026-05-02T08:00:00Z');
  const answer = await desk.ask({ ...DAVE, estimated_tokens: 50_001 });
  expect([budgetOf(answer, 'user:dave:tokens:day').capacity, told(answer).allow]).toEqual([50_000, false]);
});
