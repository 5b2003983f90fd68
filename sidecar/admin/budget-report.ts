import type { Config } from '../../runtime/config/files.ts';
import { type LimitOutcome, type Plan, planSchema } from '../../schemas/policy-io.ts';
import type { CounterStore } from '../counters/contract.ts';
import { readRequest } from '../decision/request.ts';
import type { Identities } from '../identity/identities.ts';
import { SERVICE } from '../identity/identity.ts';
import type { Policy } from '../policy/policy.ts';
import type { Granted } from './granted.ts';

/** Where one user stands: LLM tokens in the running day and month. A period without a limit has null in its place. */
export interface BudgetRow {
  user_id: string;
  /** Where the user's tenant is not in `users.yaml`, and there are several. */
  tenant_id?: string;
  daily_used: number;
  daily_limit: number | null;
  daily_remaining: number | null;
  monthly_used: number;
  monthly_limit: number | null;
  status: 'ok' | 'over_limit';
}

export interface BudgetReportDeps {
  config: () => Config;
  identities: Identities;
  granted: Pick<Granted, 'tokens'>;
  policy: () => Policy;
  store: Pick<CounterStore, 'peek'>;
}

export interface BudgetQuery {
  /** The metered package whose plan says what the limits are. */
  pkg: string;
  userId: string | undefined;
  tenantId: string | undefined;
  /** Users after this one, in the order of the files. */
  after: string | undefined;
  limit: number;
}

/** So many users are looked at together: their peeks share round trips. */
const TOGETHER = 20;

/** Who there is by `users.yaml` and `budgets.yaml`, and how much of their budgets each has used. Takes nothing. */
export async function budgetReport(
  deps: BudgetReportDeps,
  query: BudgetQuery,
): Promise<{ users: BudgetRow[]; next: string | undefined }> {
  const all = query.userId === undefined ? usersIn(deps.config()) : [query.userId];
  const first = query.after === undefined ? 0 : all.indexOf(query.after) + 1;
  const ids = all.slice(first, first + query.limit);
  const users: BudgetRow[] = [];
  for (let from = 0; from < ids.length; from += TOGETHER) {
    const rows = await Promise.all(ids.slice(from, from + TOGETHER).map((id) => rowsOf(deps, query, id)));
    users.push(...rows.flat());
  }
  return { users, next: first + query.limit < all.length ? ids.at(-1) : undefined };
}

function usersIn({ budgets, users }: Config): string[] {
  const overridden = Object.keys(budgets.per_user_budgets.user_overrides);
  return [...new Set([...users.users.map(({ id }) => id), ...overridden])];
}

/**
 * A row for each tenant in which the user may have used something: its own, else the one that is asked for, else those of
 * `tenants.yaml` in which it has; where it has in none, one.
 */
async function rowsOf(deps: BudgetReportDeps, { pkg, tenantId }: BudgetQuery, userId: string): Promise<BudgetRow[]> {
  const { tenants, users } = deps.config();
  const own = users.users.find(({ id }) => id === userId)?.tenant;
  if (own !== undefined && tenantId !== undefined && own !== tenantId) return [];
  const only = own ?? tenantId;
  const candidates = only === undefined ? Object.keys(tenants.tenants) : [only];
  const rows = await Promise.all(
    (candidates.length ? candidates : ['default']).map(async (tenant) => ({
      tenant,
      row: await rowOf(deps, pkg, { tenant_id: tenant, user_id: userId }),
    })),
  );
  const used = rows.filter(({ row }) => row.daily_used > 0 || row.monthly_used > 0);
  if (used.length <= 1) return (used.length ? used : rows.slice(0, 1)).map(({ row }) => row);
  return used.map(({ row, tenant }) => ({ ...row, tenant_id: tenant }));
}

async function rowOf(
  { granted, identities, policy, store }: BudgetReportDeps,
  pkg: string,
  who: { tenant_id: string; user_id: string },
): Promise<BudgetRow> {
  const plan = await planFor(
    policy(),
    pkg,
    readRequest(pkg, identities.bind(who, SERVICE), undefined, {
      grantedTokens: granted.tokens(who.tenant_id, who.user_id),
    }).input,
  );
  const limits = [...plan.limits, ...(plan.candidates[0]?.limits ?? [])].filter(
    (limit) =>
      limit.kind === 'window' &&
      limit.unit === 'tokens' &&
      limit.subject.type === 'user' &&
      limit.subject.id === who.user_id,
  );
  const periods = new Map(limits.map((limit) => [limit.id, limit.kind === 'window' ? limit.window.period : undefined]));
  const { outcome } = limits.length
    ? await store.peek(planSchema.parse({ limits }), who.tenant_id)
    : { outcome: { limits: [] as LimitOutcome[] } };
  const day = outcome.limits.find(({ id }) => periods.get(id) === 'day');
  const month = outcome.limits.find(({ id }) => periods.get(id) === 'month');
  return {
    user_id: who.user_id,
    daily_used: day?.before ?? 0,
    daily_limit: day?.capacity ?? null,
    daily_remaining: remaining(day),
    monthly_used: month?.before ?? 0,
    monthly_limit: month?.capacity ?? null,
    status: [day, month].some(isUsedUp) ? 'over_limit' : 'ok',
  };
}

/** Not remembered: ten thousand users would drive out what decisions ask for. */
async function planFor(policy: Policy, pkg: string, input: string): Promise<Plan> {
  const result = await policy.evaluate(`${pkg}/plan`, input);
  const parsed = planSchema.safeParse(result.ok ? result.value : undefined);
  return parsed.success ? parsed.data : planSchema.parse({});
}

const remaining = (limit: LimitOutcome | undefined) => (limit ? Math.max(0, limit.capacity - limit.before) : null);

const isUsedUp = (limit: LimitOutcome | undefined) => limit !== undefined && limit.before >= limit.capacity;
