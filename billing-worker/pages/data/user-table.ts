import type { Sql } from 'postgres';
import type { Clock } from '../../../runtime/clock.ts';
import type { Config } from '../../../runtime/config/files.ts';
import { billingCycleOf } from '../../cycles.ts';
import type { Terms } from '../../invoices/scope.ts';
import type { Calendar } from '../../ledger/calendar.ts';
import { type Budget, BudgetBook } from './budget-book.ts';
import type { SidecarApi } from './sidecar-api.ts';
import { SPEND, spendJoins, spendParameters } from './spend-sql.ts';

/** A user of a tenant: where its budgets stand, and what it used in the running billing cycle. */
export interface UserRow {
  tenantId: string;
  userId: string;
  /** Undefined: it is not known, or it has none. */
  budget: Budget | undefined;
  requests: number;
  denied: number;
  /** Decimal, in the tenant's currency. */
  spend: string;
}

interface UserTableDeps {
  sql: Sql;
  clock: Clock;
  calendar: Calendar;
  terms: () => Terms;
  people: () => Pick<Config, 'users' | 'budgets'>;
  sidecar: SidecarApi;
}

/** Sums of ten thousand users take the database half a second. */
const SPENT_FOR_MS = 10_000;

const SPENT_SQL = `
select r.tenant_id, r.user_id, sum(requests)::text as requests, sum(denied)::text as denied, sum(${SPEND})::text as spend
from usage_rollups r
join json_to_recordset($1::text::json) as current (tenant_id text, cycle_start timestamptz)
  on current.tenant_id = r.tenant_id and current.cycle_start = r.cycle_start
${spendJoins('$2', '$3')}
where r.user_id <> '' group by 1, 2`;

/** Everybody who is in the configuration or has used something in this cycle. */
export class UserTable {
  readonly #deps: UserTableDeps;
  readonly #book: BudgetBook;
  #spent: { rows: Promise<Omit<UserRow, 'budget'>[]>; at: number } | undefined;

  constructor(deps: UserTableDeps) {
    this.#deps = deps;
    this.#book = new BudgetBook(deps.sidecar, deps.clock);
  }

  /** `problem`: why there are no budgets, or not all of them, for people. */
  async all(): Promise<{ rows: UserRow[]; problem: string | undefined }> {
    const [spent, { isPartial, problem, rows: budgets }] = await Promise.all([this.#spentNow(), this.#book.all()]);
    const rows = new Map<string, UserRow>(spent.map((row) => [keyOf(row), { ...row, budget: undefined }]));
    const tenantsOf = new Map<string, string[]>();
    for (const { tenantId, userId } of spent) tenantsOf.set(userId, [...(tenantsOf.get(userId) ?? []), tenantId]);
    const configured = this.#configured();
    const add = (userId: string, named: string | undefined, budget: Budget | undefined) => {
      const tenantId = named ?? configured.get(userId) ?? this.#likelyTenant(tenantsOf.get(userId));
      if (tenantId === undefined) return;
      const nothing = { tenantId, userId, requests: 0, denied: 0, spend: '0' };
      const before = rows.get(keyOf(nothing));
      rows.set(keyOf(nothing), { ...(before ?? nothing), budget: budget ?? before?.budget });
    };
    for (const userId of configured.keys()) add(userId, undefined, undefined);
    for (const budget of budgets) add(budget.user_id, budget.tenant_id, budget);
    const reading = isPartial
      ? 'The budgets of all users are being read: order and filter by them is not whole yet.'
      : undefined;
    return { rows: [...rows.values()], problem: problem ?? reading };
  }

  /** Who is named in the files, and whose each is as far as they say. */
  #configured(): Map<string, string | undefined> {
    const { budgets, users } = this.#deps.people();
    const overridden = Object.keys(budgets.per_user_budgets.user_overrides);
    return new Map([
      ...overridden.map((id): [string, undefined] => [id, undefined]),
      ...users.users.map(({ id, tenant }): [string, string | undefined] => [id, tenant]),
    ]);
  }

  /** These rows with their budgets as they are now. */
  async exact(rows: readonly UserRow[]): Promise<UserRow[]> {
    return Promise.all(
      rows.map(async (row) => ({ ...row, budget: (await this.#book.of(row.tenantId, row.userId)) ?? row.budget })),
    );
  }

  /** Where the sidecar does not say it: the only one in which the user used something, else the first there is. */
  #likelyTenant(used: readonly string[] = []): string | undefined {
    if (used.length > 1) return undefined;
    return used[0] ?? Object.keys(this.#deps.terms().tenants.tenants)[0];
  }

  #spentNow(): Promise<Omit<UserRow, 'budget'>[]> {
    const now = this.#deps.clock.monotonic();
    if (this.#spent && now - this.#spent.at < SPENT_FOR_MS) return this.#spent.rows;
    const spent = { rows: this.#readSpent(), at: now };
    this.#spent = spent;
    spent.rows.catch(() => {
      if (this.#spent === spent) this.#spent = undefined;
    });
    return spent.rows;
  }

  async #readSpent(): Promise<Omit<UserRow, 'budget'>[]> {
    const { calendar, clock, sql, terms } = this.#deps;
    const now = clock.now();
    const found = await sql.unsafe(
      'select distinct tenant_id, model from usage_rollups where cycle_end > $1::timestamptz and cycle_start <= $1::timestamptz',
      [new Date(now).toISOString()],
      { prepare: true },
    );
    const tenants = [...new Set(found.map(({ tenant_id }) => tenant_id as string))];
    const current = tenants.map((tenant_id) => {
      const { cycle } = calendar.at(now, billingCycleOf(terms().tenants, tenant_id));
      return { tenant_id, cycle_start: new Date(cycle.start) };
    });
    const models = [...new Set(found.map(({ model }) => model as string))];
    const period = { start: Math.min(now, ...current.map(({ cycle_start }) => cycle_start.getTime())), end: now };
    const parameters = [JSON.stringify(current), ...spendParameters({ tenants, models }, period, terms())];
    const rows = await sql.unsafe(SPENT_SQL, parameters, { prepare: true });
    return rows.map(({ denied, requests, spend, tenant_id, user_id }) => ({
      tenantId: tenant_id,
      userId: user_id,
      requests: Number(requests),
      denied: Number(denied),
      spend,
    }));
  }
}

const keyOf = ({ tenantId, userId }: { tenantId: string; userId: string }) => `${tenantId}\u0000${userId}`;
