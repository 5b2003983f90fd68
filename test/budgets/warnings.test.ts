import { beforeAll, describe, expect, test } from 'vitest';
import type { Policy } from '../../sidecar/policy/policy.ts';
import { Desk, NOON, policyOn, told } from './pipeline.ts';
import { tableText } from './table-file.ts';

const DAVE = { tenant_id: 'acme', user_id: 'dave' };
const MORNINGS = ['2026-05-15T08:00:00Z', '2026-05-16T08:00:00Z', '2026-05-17T08:00:00Z'];

/** What the user and the admin hear: the first word of each warning, each percent. */
async function heard(desk: Desk, tokens: number, more: object = {}) {
  const { obligations, warnings } = told(await desk.ask({ ...DAVE, ...more, estimated_tokens: tokens }));
  const notify = (obligations.notify ?? []) as { limit: string; percent: number }[];
  return {
    warnings: warnings.map((warning) => warning.split(/[:.]/)[0]),
    notices: notify.map(({ limit, percent }) => `${limit} ${percent}`),
  };
}

const NOTHING = { warnings: [], notices: [] };
const day = (...percents: number[]) => percents.map((percent) => `user:dave:tokens:day ${percent}`);

describe('a threshold', () => {
  let policy: Policy;
  let desk: Desk;

  beforeAll(async () => {
    policy = await policyOn({ 'budgets.yaml': tableText('soft_limit') });
  });

  test('is told once a day, by the request that crosses it, and again on the next day', async () => {
    desk = new Desk(policy, NOON);
    for (const morning of MORNINGS) {
      desk.set(morning);
      expect(await heard(desk, 37_499)).toEqual(NOTHING);
      expect(await heard(desk, 1)).toEqual({
        warnings: ['Three quarters', '75% of your daily budget'],
        notices: day(75),
      });
      expect(await heard(desk, 1)).toEqual(NOTHING);
      expect(await heard(desk, 7_499)).toEqual({
        warnings: ['Nearly all', '90% of your daily budget'],
        notices: day(90),
      });
      expect(await heard(desk, 4_999)).toEqual(NOTHING);
      expect(await heard(desk, 1)).toEqual({ warnings: [], notices: day(100) });
      for (let more = 0; more < 5; more++) expect(await heard(desk, 1_000)).toEqual(NOTHING);
    }
  });

  test('several at once: the highest for the user, all for the admin, and none of them again', async () => {
    desk = new Desk(policy, NOON);
    for (const morning of MORNINGS) {
      desk.set(morning);
      expect(await heard(desk, 60_000)).toEqual({
        warnings: ['Nearly all', '120% of your daily budget'],
        notices: day(75, 90, 100),
      });
      expect(await heard(desk, 1_000)).toEqual(NOTHING);
    }
  });

  test('is told again to nobody when a call is given back and its tokens are taken once more', async () => {
    desk = new Desk(policy, NOON);
    const first = await desk.ask({ ...DAVE, estimated_tokens: 40_000 });
    expect(told(first).warnings).not.toEqual([]);
    await desk.settle(first, 0);
    expect(await heard(desk, 40_000)).toEqual(NOTHING);
  });

  test('that a report crosses is told in its answer, and in no decision after it', async () => {
    desk = new Desk(policy, NOON);
    const small = await desk.ask({ ...DAVE, estimated_tokens: 10 });
    const changes = await desk.settle(small, 46_000);
    expect(changes.find(({ id }) => id === 'user:dave:tokens:day')?.crossed).toEqual([75, 90]);
    expect(await heard(desk, 1_000)).toEqual(NOTHING);
  });

  test('of the month is told once in it, whatever happens to the days', async () => {
    desk = new Desk(policy, '2026-05-01T08:00:00Z');
    const months: string[] = [];
    for (let date = 1; date <= 31; date++) {
      desk.set(Date.UTC(2026, 4, date, 8));
      const { notices } = await heard(desk, 30_000);
      months.push(...notices.map((notice) => `${date}: ${notice}`));
    }
    const month = (date: number, percent: number) => `${date}: user:dave:tokens:month ${percent}`;
    // 30,000 a day of 1,000,000: 75 % on the 25th, 90 % on the 30th, and 93 % on the 31st.
    expect(months).toEqual([month(25, 75), month(30, 90)]);
    desk.set('2026-06-01T08:00:00Z');
    expect(await heard(desk, 30_000)).toEqual(NOTHING);
  });

  test('of a department is told to the admin alone', async () => {
    desk = new Desk(policy, NOON);
    const rnd = { user_id: 'eve', department_id: 'g_none' };
    expect(await heard(desk, 36_000, rnd)).toEqual(NOTHING);
    expect(await heard(desk, 36_000, { ...rnd, user_id: 'fay' })).toEqual({
      warnings: [],
      notices: ['department:g_none:tokens:day 75', 'department:g_none:tokens:day 90'],
    });
  });
});

describe('the file', () => {
  const file = (warnings: string) => `per_user_budgets:
  default_limits: { daily_tokens: 1000 }
  on_limit_exceeded: { action: soft_limit }
  warnings:
${warnings}
`;
  const at = (percent: number) => `    - { at_percent: ${percent}, message: "at ${percent}" }`;

  test('may warn at 100 % too', async () => {
    const desk = new Desk(await policyOn({ 'budgets.yaml': file([75, 100].map(at).join('\n')) }), NOON);
    expect((await heard(desk, 1_000)).warnings).toEqual(['at 100']);
  });

  test('and beyond', async () => {
    const desk = new Desk(await policyOn({ 'budgets.yaml': file([100, 150].map(at).join('\n')) }), NOON);
    expect((await heard(desk, 1_000)).warnings).toEqual(['at 100']);
    expect((await heard(desk, 499)).warnings).toEqual([]);
    expect((await heard(desk, 1)).warnings).toEqual(['at 150']);
  });

  test('may have as many warnings as it takes, and its requests are decided', async () => {
    const many = Array.from({ length: 15 }, (_, index) => at(5 + 5 * index));
    const desk = new Desk(await policyOn({ 'budgets.yaml': file(many.join('\n')) }), NOON);
    expect((await heard(desk, 750)).warnings).toEqual(['at 75']);
    await expect(policyOn({ 'budgets.yaml': file([...many, at(99)].join('\n')) })).rejects.toThrow(/warnings/);
  });
});
