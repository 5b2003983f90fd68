import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../runtime/config/files.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import type { Policy } from '../../sidecar/policy/policy.ts';
import { budgetOf, configFolder, Desk, NOON, policyOn, told, use } from './pipeline.ts';

/** The files as users have them, byte for byte. */
const printed = async () =>
  Object.fromEntries(
    await Promise.all(
      ['auth.yaml', 'users.yaml', 'budgets.yaml'].map(async (name) => [
        name,
        await readFile(join(packageRoot, 'test/budgets/printed', name), 'utf8'),
      ]),
    ),
  ) as Record<string, string>;

test('they are what they say', async () => {
  const { auth, budgets, users } = loadConfig(await configFolder(await printed()));
  expect(auth).toMatchObject({ enabled: true, method: 'jwt', require_auth: true, user_id_claim: 'sub' });
  expect(users.user_identification.method).toBe('api_key');
  expect(users.users.map(({ id, key_digests }) => [id, key_digests.length])).toEqual([
    ['user_alice', 1],
    ['user_bob', 1],
  ]);
  expect(budgets.per_user_budgets).toMatchObject({
    enabled: true,
    default_limits: { daily_tokens: 50_000, monthly_tokens: 1_000_000 },
    user_overrides: {
      user_alice: { daily_tokens: 100_000, monthly_tokens: 2_000_000 },
      user_bob: { daily_tokens: 25_000, monthly_tokens: 500_000 },
    },
    role_limits: { admin: 200_000, developer: 100_000, viewer: 10_000 },
    reset_schedule: { daily_reset_time: '00:00', monthly_reset_day: 1, timezone: 'UTC' },
    rollover: { enabled: false, max_rollover_tokens: 100_000 },
    include_budget_in_response: true,
    on_limit_exceeded: { action: 'soft_limit', hard_stop: { status_code: 429 }, soft_limit: { notify_admin: true } },
  });
  expect(budgets.per_user_budgets.warnings.map(({ at_percent }) => at_percent)).toEqual([75, 90]);
});

describe('a decision by them', () => {
  let policy: Policy;
  let desk: Desk;

  beforeAll(async () => {
    policy = await policyOn(await printed());
    desk = new Desk(policy, NOON);
  });

  test.each([
    ['user_alice', 100_000, 2_000_000, { day: 45_000, month: 890_000 }, 'ok'],
    ['user_bob', 25_000, 500_000, { day: 25_000, month: 520_000 }, 'over_soft_limit'],
    ['somebody', 50_000, 1_000_000, { day: 0, month: 0 }, 'ok'],
  ])('%s has %d a day and %d a month', async (user_id, daily, monthly, used, reason) => {
    const who = { tenant_id: 'acme', user_id };
    await use(desk, who, used);
    const answer = await desk.ask({ ...who, estimated_tokens: 1 });
    expect(told(answer)).toMatchObject({ allow: true, reason, status: 200, message: reason === 'ok' ? '' : '…' });
    const [day, month] = ['day', 'month'].map((period) => budgetOf(answer, `user:${user_id}:tokens:${period}`));
    expect(day).toMatchObject({ capacity: daily, before: used.day, remaining: Math.max(0, daily - used.day - 1) });
    expect(month).toMatchObject({ capacity: monthly, before: used.month });
    expect(day?.reset_at).toBe(Date.parse('2026-05-16T00:00:00Z'));
    expect(month?.reset_at).toBe(Date.parse('2026-06-01T00:00:00Z'));
  });
});
