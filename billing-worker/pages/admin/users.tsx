import { Hono } from 'hono';
import type { UserRow } from '../data/user-table.ts';
import type { PagesDeps } from '../deps.ts';
import { page } from '../respond.tsx';
import type { PageEnv } from '../session/guard.ts';
import { levelOf } from '../view/bar.tsx';
import { BudgetBar } from '../view/budget-bar.tsx';
import { grouped, money } from '../view/format.tsx';
import { Field, Select } from '../view/forms.tsx';
import { Badge, type Column, href, Pager, Table } from '../view/table.tsx';

const PAGE_SIZE = 25;

const daily = ({ budget }: UserRow) =>
  budget && budget.daily_limit !== null ? budget.daily_used / Math.max(1, budget.daily_limit) : -1;
const monthly = ({ budget }: UserRow) =>
  budget && budget.monthly_limit !== null ? budget.monthly_used / Math.max(1, budget.monthly_limit) : -1;

/** What rows are ordered by. Names by their characters, the same everywhere. */
const ORDERS: Record<string, (a: UserRow, b: UserRow) => number> = {
  user: (a, b) => compare(a.userId, b.userId) || compare(a.tenantId, b.tenantId),
  tenant: (a, b) => compare(a.tenantId, b.tenantId) || compare(a.userId, b.userId),
  daily: (a, b) => daily(a) - daily(b),
  monthly: (a, b) => monthly(a) - monthly(b),
  requests: (a, b) => a.requests - b.requests,
  denied: (a, b) => a.denied - b.denied,
  spend: (a, b) => Number(a.spend) - Number(b.spend),
};

const STATUSES = [
  ['', 'All'],
  ['over', 'Over the limit'],
  ['warn', 'Above 75%'],
  ['ok', 'Below 75%'],
] as const;

/** `/admin`: all users of all tenants, where their budgets stand now, and what they spent in the running cycle. */
export function userListRoutes({ userTable }: PagesDeps): Hono<PageEnv> {
  const app = new Hono<PageEnv>();
  app.get('/admin', async (c) => {
    const { dir, page: number, q = '', sort = 'spend', status = '', tenant_id = '' } = c.req.query();
    const by = Object.hasOwn(ORDERS, sort) ? sort : 'spend';
    const isDescending = dir === undefined ? by !== 'user' && by !== 'tenant' : dir === 'desc';
    const { problem: trouble, rows } = await userTable.all();
    const wanted = rows.filter((row) => matches(row, { q, status, tenantId: tenant_id }));
    const order = ORDERS[by] ?? compareNothing;
    wanted.sort((a, b) => (isDescending ? order(b, a) : order(a, b)) || compare(a.userId, b.userId));
    const pages = Math.max(1, Math.ceil(wanted.length / PAGE_SIZE));
    const current = Math.min(pages, Math.max(1, Math.trunc(Number(number)) || 1));
    const shown = await userTable.exact(wanted.slice((current - 1) * PAGE_SIZE, current * PAGE_SIZE));
    const query = { q, status, tenant_id, sort: c.req.query('sort'), dir };
    const notice =
      trouble === undefined ? undefined : { kind: 'hint' as const, text: `${trouble} The rest is from the ledger.` };
    return page(
      c,
      { title: 'Users', current: 'Users', live: true, notice },
      <>
        <h1>Users</h1>
        <p class="lead">Budgets as they stand now; requests and spend in the running billing cycle.</p>
        <form class="filters" method="get" action="/admin" aria-label="Search">
          <Field name="q" label="User or tenant" type="search" value={q} />
          <Select name="status" label="Status" value={status} options={STATUSES} />
          {tenant_id && <input type="hidden" name="tenant_id" value={tenant_id} />}
          <button type="submit">Search</button>
          {(q || status || tenant_id) && (
            <a class="button quiet" href="/admin">
              Show all
            </a>
          )}
          <a class="button quiet" href={href('/admin/usage.csv', { group_by: 'user', tenant_id })}>
            Download CSV
          </a>
        </form>
        <Table
          caption="Users and their budgets"
          rows={shown}
          rowId={({ tenantId, userId }) => `${tenantId} ${userId}`}
          sorting={{ path: '/admin', query, by, descending: isDescending }}
          columns={COLUMNS}
          empty={
            rows.length === 0 ? (
              <p>Nobody has used anything in this cycle, and users.yaml names nobody.</p>
            ) : (
              <p>No user is like that.</p>
            )
          }
        />
        <Pager path="/admin" query={query} page={current} pages={pages} total={wanted.length} what="users" />
      </>,
    );
  });
  return app;
}

export const userHref = (tenantId: string, userId: string): string =>
  href('/admin/user', { tenant_id: tenantId, user_id: userId });

const COLUMNS: Column<UserRow>[] = [
  { name: 'User', sort: 'user', cell: ({ tenantId, userId }) => <a href={userHref(tenantId, userId)}>{userId}</a> },
  {
    name: 'Tenant',
    sort: 'tenant',
    cell: ({ tenantId }) => <a href={href('/admin/tenant', { tenant_id: tenantId })}>{tenantId}</a>,
  },
  { name: 'Today', sort: 'daily', cell: (row) => <BudgetBar row={row} period="day" /> },
  { name: 'This month', sort: 'monthly', cell: (row) => <BudgetBar row={row} period="month" /> },
  { name: 'Status', cell: (row) => <StatusBadge row={row} /> },
  { name: 'Requests', sort: 'requests', number: true, cell: ({ requests }) => grouped(requests) },
  { name: 'Denied', sort: 'denied', number: true, cell: ({ denied }) => grouped(denied) },
  { name: 'Spend', sort: 'spend', number: true, cell: ({ spend }) => money(spend) },
];

function StatusBadge({ row }: { row: UserRow }) {
  const status = statusOf(row);
  if (status === undefined) return <Badge kind="off">no budget</Badge>;
  if (status === 'over') return <Badge kind="over">over limit</Badge>;
  return status === 'warn' ? <Badge kind="warn">near limit</Badge> : <Badge kind="ok">ok</Badge>;
}

function statusOf({ budget }: UserRow): 'ok' | 'warn' | 'over' | undefined {
  if (!budget || (budget.daily_limit === null && budget.monthly_limit === null)) return undefined;
  const levels = [
    levelOf(budget.daily_used, budget.daily_limit ?? Number.POSITIVE_INFINITY),
    levelOf(budget.monthly_used, budget.monthly_limit ?? Number.POSITIVE_INFINITY),
  ];
  if (budget.status === 'over_limit' || levels.includes('over')) return 'over';
  return levels.includes('warn') ? 'warn' : 'ok';
}

function matches(row: UserRow, { q, status, tenantId }: { q: string; status: string; tenantId: string }): boolean {
  const text = q.trim().toLowerCase();
  return (
    (tenantId === '' || row.tenantId === tenantId) &&
    (text === '' || row.userId.toLowerCase().includes(text) || row.tenantId.toLowerCase().includes(text)) &&
    (status === '' || statusOf(row) === status)
  );
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const compareNothing = () => 0;
