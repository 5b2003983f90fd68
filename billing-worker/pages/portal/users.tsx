import { Hono } from 'hono';
import { recentDecisions } from '../data/decisions.ts';
import { isFailed, limitsNow } from '../data/limits-now.ts';
import type { UserRow } from '../data/user-table.ts';
import type { PagesDeps } from '../deps.ts';
import { notFound, page } from '../respond.tsx';
import { type PageEnv, tenantOf } from '../session/guard.ts';
import { Limits } from '../view/bar.tsx';
import { BudgetBar } from '../view/budget-bar.tsx';
import { Decisions } from '../view/decisions.tsx';
import { grouped, money } from '../view/format.tsx';
import { Field } from '../view/forms.tsx';
import { type Column, href, Pager, Table } from '../view/table.tsx';
import { readUsage, UsageChart, UsageSums } from '../view/usage.tsx';

const PAGE_SIZE = 25;
const SHOWN_DECISIONS = 25;

/** `/portal/users`: the tenant's own, and where their budgets stand; `/portal/user`: one of them. */
export function portalUserRoutes(deps: PagesDeps): Hono<PageEnv> {
  const { clock, sidecar, sql, userTable } = deps;
  const app = new Hono<PageEnv>();
  app.get('/portal/users', async (c) => {
    const tenantId = tenantOf(c);
    const { page: number, q = '' } = c.req.query();
    const { problem: trouble, rows } = await userTable.all();
    const text = q.trim().toLowerCase();
    const own = rows.filter((row) => row.tenantId === tenantId && row.userId.toLowerCase().includes(text));
    own.sort((a, b) => Number(b.spend) - Number(a.spend) || (a.userId < b.userId ? -1 : 1));
    const pages = Math.max(1, Math.ceil(own.length / PAGE_SIZE));
    const current = Math.min(pages, Math.max(1, Math.trunc(Number(number)) || 1));
    const shown = await userTable.exact(own.slice((current - 1) * PAGE_SIZE, current * PAGE_SIZE));
    return page(
      c,
      {
        title: 'Users',
        current: 'Users',
        live: true,
        ...(trouble !== undefined && { notice: { kind: 'hint' as const, text: trouble } }),
      },
      <>
        <h1>Users</h1>
        <p class="lead">Budgets as they stand now; requests and spend in the running billing cycle.</p>
        <form class="filters" method="get" action="/portal/users" aria-label="Search">
          <Field name="q" label="User" type="search" value={q} />
          <button type="submit">Search</button>
        </form>
        <Table
          caption="Users and their budgets"
          rows={shown}
          rowId={({ userId }) => userId}
          columns={COLUMNS}
          empty={<p>No user is like that.</p>}
        />
        <Pager path="/portal/users" query={{ q }} page={current} pages={pages} total={own.length} what="users" />
      </>,
    );
  });
  app.get('/portal/user', async (c) => {
    const tenantId = tenantOf(c);
    const { days, measure, user_id: userId } = c.req.query();
    const isOwn =
      userId !== undefined &&
      (await userTable.all()).rows.some((row) => row.tenantId === tenantId && row.userId === userId);
    if (!isOwn) return notFound(c);
    const now = clock.now();
    const [limits, view, decisions] = await Promise.all([
      limitsNow({ tenantId, userId }, { sidecar, now }),
      readUsage({ tenantId, userId, series: 'model', sums: ['model'], days, measure }, deps),
      recentDecisions({ tenantId, userId, now, limit: SHOWN_DECISIONS }, sql),
    ]);
    return page(
      c,
      { title: userId, current: 'Users', live: true },
      <>
        <h1>{userId}</h1>
        <h2>Left now</h2>
        {isFailed(limits) ? (
          <p class="notice problem">{limits.message}</p>
        ) : (
          <Limits limits={limits} now={now} tenantId={tenantId} userId={userId} />
        )}
        <h2>Usage</h2>
        <UsageChart
          view={view}
          path="/portal/user"
          query={{ user_id: userId, days, measure }}
          title={`${userId}, by model`}
        />
        <h2>By model</h2>
        {view.sums.map(({ by, rows }) => (
          <UsageSums by={by} rows={rows} currency={view.currency} />
        ))}
        <h2>Recent decisions</h2>
        <Decisions rows={decisions} />
      </>,
    );
  });
  return app;
}

const COLUMNS: Column<UserRow>[] = [
  { name: 'User', cell: ({ userId }) => <a href={href('/portal/user', { user_id: userId })}>{userId}</a> },
  { name: 'Today', cell: (row) => <BudgetBar row={row} period="day" /> },
  { name: 'This month', cell: (row) => <BudgetBar row={row} period="month" /> },
  { name: 'Requests', number: true, cell: ({ requests }) => grouped(requests) },
  { name: 'Denied', number: true, cell: ({ denied }) => grouped(denied) },
  { name: 'Spend', number: true, cell: ({ spend }) => money(spend) },
];
