import { Hono } from 'hono';
import { isFailed, type LimitNow, limitsNow } from '../data/limits-now.ts';
import { type TenantRow, tenantIds, tenantRow } from '../data/tenant-table.ts';
import type { PagesDeps } from '../deps.ts';
import { page, problem } from '../respond.tsx';
import type { PageEnv } from '../session/guard.ts';
import { Bar } from '../view/bar.tsx';
import { grouped, money, Time } from '../view/format.tsx';
import { Field } from '../view/forms.tsx';
import { type Column, href, Pager, Table } from '../view/table.tsx';

const PAGE_SIZE = 25;

interface Row extends TenantRow {
  limits: LimitNow[];
}

/** `/admin/tenants`: what each has left now, and what it used in its running billing cycle. */
export function tenantListRoutes(deps: PagesDeps): Hono<PageEnv> {
  const app = new Hono<PageEnv>();
  app.get('/admin/tenants', async (c) => {
    const { page: number, q = '' } = c.req.query();
    const text = q.trim().toLowerCase();
    const ids = (await tenantIds(deps)).filter((id) => id.toLowerCase().includes(text));
    const pages = Math.max(1, Math.ceil(ids.length / PAGE_SIZE));
    const current = Math.min(pages, Math.max(1, Math.trunc(Number(number)) || 1));
    let trouble: string | undefined;
    const rows = await Promise.all(
      ids.slice((current - 1) * PAGE_SIZE, current * PAGE_SIZE).map(async (tenantId): Promise<Row> => {
        const limits = await limitsNow({ tenantId }, { sidecar: deps.sidecar, now: deps.clock.now() });
        if (isFailed(limits)) trouble = limits.message;
        return { ...(await tenantRow(tenantId, deps)), limits: isFailed(limits) ? [] : limits };
      }),
    );
    const notice =
      trouble === undefined ? undefined : problem(`${trouble} What is left is not shown; the rest is from the ledger.`);
    return page(
      c,
      { title: 'Tenants', current: 'Tenants', live: true, notice },
      <>
        <h1>Tenants</h1>
        <p class="lead">What is left now; users, requests and spend in the running billing cycle of each.</p>
        <form class="filters" method="get" action="/admin/tenants" aria-label="Search">
          <Field name="q" label="Tenant" type="search" value={q} />
          <button type="submit">Search</button>
          <a class="button quiet" href="/admin/usage.csv?group_by=tenant">
            Download CSV
          </a>
        </form>
        <Table
          caption="Tenants"
          rows={rows}
          rowId={({ tenantId }) => tenantId}
          columns={columns(deps.clock.now())}
          empty={<p>No tenant is like that.</p>}
        />
        <Pager path="/admin/tenants" query={{ q }} page={current} pages={pages} total={ids.length} what="tenants" />
      </>,
    );
  });
  return app;
}

const tenantHref = (tenantId: string): string => href('/admin/tenant', { tenant_id: tenantId });

const columns = (now: number): Column<Row>[] => [
  { name: 'Tenant', cell: ({ tenantId }) => <a href={tenantHref(tenantId)}>{tenantId}</a> },
  {
    name: 'Bucket',
    cell: ({ limits }) => (
      <LimitBar limit={limits.find(({ period, unit }) => period === undefined && unit === 'tokens')} />
    ),
  },
  {
    name: 'Today',
    cell: ({ limits }) => <LimitBar limit={limits.find(({ period, unit }) => period === 'day' && unit === 'tokens')} />,
  },
  {
    name: 'This month',
    cell: ({ limits }) => (
      <LimitBar limit={limits.find(({ period, unit }) => period === 'month' && unit === 'tokens')} />
    ),
  },
  { name: 'Plan', cell: ({ plan }) => plan ?? <span class="muted">none</span> },
  { name: 'Users', number: true, cell: ({ users }) => grouped(users) },
  { name: 'Requests', number: true, cell: ({ requests }) => grouped(requests) },
  { name: 'Denied', number: true, cell: ({ denied }) => grouped(denied) },
  { name: 'Spend', number: true, cell: ({ currency, spend }) => money(spend, currency) },
  { name: 'Cycle ends', cell: ({ cycleEnd }) => <Time at={cycleEnd} day={cycleEnd - now > 86_400_000} /> },
];

const LimitBar = ({ limit }: { limit: LimitNow | undefined }) =>
  limit ? (
    <Bar used={Math.max(0, limit.capacity - limit.remaining)} capacity={limit.capacity} />
  ) : (
    <span class="muted">no limit</span>
  );
