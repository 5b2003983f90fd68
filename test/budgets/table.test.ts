import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Policy } from '../../sidecar/policy/policy.ts';
import { type BudgetsFile, budgetsOf, expectedDecision, type ModelRequest, type Used } from './budget-model.ts';
import { Desk, type Input, NOON, policyOn, told, use } from './pipeline.ts';
import { ACTIONS, tableFile, tableText } from './table-file.ts';

const SONNET = 'anthropic/claude-sonnet-4-5';
const HAIKU = 'anthropic/claude-3-haiku';

/** How much of a limit is used before the request, and how much the request takes. */
const STATES: Record<string, (limit: number) => [before: number, tokens: number]> = {
  unused: () => [0, 1_000],
  'just below 75 %': (limit) => [Math.ceil(0.75 * limit) - 1_001, 1_000],
  'exactly 75 %': (limit) => [Math.ceil(0.75 * limit) - 1_000, 1_000],
  'from 75 to 89 %': (limit) => [Math.ceil(0.75 * limit), Math.floor(0.14 * limit)],
  'exactly 90 %': (limit) => [Math.ceil(0.9 * limit) - 1_000, 1_000],
  'past both at once': (limit) => [0, Math.ceil(0.95 * limit)],
  'one below 100 %': (limit) => [limit - 1_001, 1_000],
  'exactly 100 %': (limit) => [limit - 1_000, 1_000],
  'one too many': (limit) => [limit - 999, 1_000],
  'used up before': (limit) => [limit, 1_000],
  'over before': (limit) => [limit + 5_000, 1_000],
  'more than the whole': (limit) => [0, limit + 1],
};

/** Who asks, and which of their budgets is brought to the state. */
interface Row {
  who: Omit<ModelRequest, 'tokens'>;
  of: string;
  state: string;
  /** What the user, beside a group, has used of their day. */
  beside?: number;
}

const USERS: Partial<ModelRequest>[] = [
  { user: 'user_alice' },
  { user: 'user_alice', role: 'viewer' },
  { user: 'user_carol', role: 'viewer' },
  { user: 'user_odd', role: 'admin' },
  { user: 'dave' },
  { user: 'dave', role: 'admin' },
  { user: 'dave', role: 'developer' },
  { user: 'dave', role: 'viewer' },
  { user: 'dave', role: 'intern' },
];

const GROUPS = {
  department: ['department day', 'department month'],
  project: ['project day'],
  team: ['team month'],
  tenant: ['tenant day', 'tenant month'],
};

const GROUP_NAMES = ['g_none', ...ACTIONS.map((action) => `g_${action}`)];

const states = Object.keys(STATES);

const ofUsers: Row[] = USERS.flatMap((user) =>
  ['user day', 'user month'].flatMap((of) =>
    [SONNET, HAIKU, undefined].flatMap((model) =>
      states.map((state) => ({ who: { tenant: 'acme', ...user, model }, of, state })),
    ),
  ),
);

const ofGroups: Row[] = Object.entries(GROUPS).flatMap(([kind, budgets]) =>
  budgets.flatMap((of) =>
    GROUP_NAMES.flatMap((group) =>
      [undefined, 'dave'].flatMap((user) =>
        states.map((state) => ({ who: { tenant: 'acme', model: SONNET, user, [kind]: group }, of, state })),
      ),
    ),
  ),
);

/** A group's budget in every state beside a user's day that is nearly, wholly, or more than used up. */
const ofBoth: Row[] = ['department', 'project', 'team'].flatMap((kind) =>
  GROUP_NAMES.flatMap((group) =>
    [37_000, 49_500, 50_000, 60_000].flatMap((beside) =>
      states.map((state) => ({
        who: { tenant: 'acme', model: SONNET, user: 'dave', [kind]: group },
        of: `${kind} ${kind === 'team' ? 'month' : 'day'}`,
        state,
        beside,
      })),
    ),
  ),
);

const inputOf = ({ department, model, project, role, team, tenant, tokens, user }: ModelRequest): Input => ({
  tenant_id: tenant,
  estimated_tokens: tokens,
  ...(user && { user_id: user }),
  ...(role && { role }),
  ...(department && { department_id: department }),
  ...(project && { project_id: project }),
  ...(team && { team_id: team }),
  ...(model && { model }),
});

/** Who has used it, so that nothing else is used with it. */
function spender({ department, project, role, team, tenant, user }: Row['who'], kind: string): Input {
  const all: Input = inputOf({ tenant, user, role, department, project, team, tokens: 1 });
  const { department_id, project_id, role: as, team_id, tenant_id, user_id } = all;
  const own = {
    user: { user_id, role: as },
    department: { department_id },
    project: { project_id },
    team: { team_id },
  };
  const who = { tenant_id, ...own[kind as keyof typeof own] };
  return JSON.parse(JSON.stringify(who)) as Input;
}

/** Asks in that state, through the whole pipeline, and works out what should come of it. */
async function tried(policy: Policy, file: BudgetsFile, { beside, of, state, who }: Row) {
  const limit = budgetsOf(file, { ...who, tokens: 0 }).find((b) => `${b.of} ${b.period}` === of)?.limit as number;
  const [before, tokens] = (STATES[state] as (limit: number) => [number, number])(limit);
  const [kind = '', period] = of.split(' ');
  const desk = new Desk(policy, NOON);
  const used: Used = { [`${kind} month`]: before, [`${kind} day`]: period === 'day' ? before : 0 };
  await use(desk, spender(who, kind), { day: used[`${kind} day`] as number, month: before });
  if (beside !== undefined) {
    await use(desk, spender(who, 'user'), { day: beside, month: beside });
    Object.assign(used, { 'user day': beside, 'user month': beside });
  }
  const request = { ...who, tokens };
  return {
    got: told(await desk.ask(inputOf(request))),
    expected: expectedDecision(file, request, used, new Date(NOON)),
  };
}

let rows = 0;

describe.each(ACTIONS)('action %s', (action) => {
  let policy: Policy;
  const file = tableFile(action);

  beforeAll(async () => {
    policy = await policyOn({ 'budgets.yaml': tableText(action) });
  });

  test.each([
    ['users, by override, role and default', ofUsers],
    ['groups, with an action of their own and without', ofGroups],
    ['a user and a group together', ofBoth],
  ])('%s', { timeout: 120_000 }, async (_, table) => {
    const wrong: unknown[] = [];
    for (const row of table) {
      rows++;
      const { expected: wanted, got } = await tried(policy, file, row);
      try {
        expect(got).toEqual(wanted);
      } catch {
        wrong.push({ row, got, wanted });
      }
    }
    expect({ wrong: wrong.length, first: wrong.slice(0, 3) }).toEqual({ wrong: 0, first: [] });
  });
});

afterAll(() => {
  expect(rows).toBeGreaterThan(200);
});
