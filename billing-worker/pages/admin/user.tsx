import { Hono } from 'hono';
import type { FC } from 'hono/jsx';
import { recentDecisions } from '../data/decisions.ts';
import { type Grant, listGrants } from '../data/grants.ts';
import { isFailed, limitsNow } from '../data/limits-now.ts';
import type { PagesDeps } from '../deps.ts';
import { notFound, page } from '../respond.tsx';
import type { PageEnv } from '../session/guard.ts';
import { Limits } from '../view/bar.tsx';
import { Decisions } from '../view/decisions.tsx';
import { grouped, Time } from '../view/format.tsx';
import { Field } from '../view/forms.tsx';
import { href, Table } from '../view/table.tsx';
import { readUsage, UsageChart, UsageSums } from '../view/usage.tsx';

const SHOWN_DECISIONS = 25;

/** `/admin/user`: what one user has left, used, asked for and was refused, and what it was granted. */
export function userRoutes(deps: PagesDeps): Hono<PageEnv> {
  const app = new Hono<PageEnv>();
  app.get('/admin/user', async (c) => {
    const { days, measure, tenant_id: tenantId, user_id: userId } = c.req.query();
    if (!tenantId || !userId) return notFound(c);
    const { clock, sidecar, sql } = deps;
    const now = clock.now();
    const [limits, view, decisions, grants] = await Promise.all([
      limitsNow({ tenantId, userId }, { sidecar, now }),
      readUsage({ tenantId, userId, series: 'model', sums: ['model'], days, measure }, deps),
      recentDecisions({ tenantId, userId, now, limit: SHOWN_DECISIONS }, sql),
      listGrants({ tenantId, userId }, sidecar),
    ]);
    const query = { tenant_id: tenantId, user_id: userId, days, measure };
    return page(
      c,
      { title: userId, current: 'Users', live: true },
      <>
        <div class="head">
          <div>
            <h1>{userId}</h1>
            <p class="lead">
              of tenant <a href={href('/admin/tenant', { tenant_id: tenantId })}>{tenantId}</a>
            </p>
          </div>
          <a class="button quiet" href={href('/admin/audit', { tenant_id: tenantId, user_id: userId })}>
            Audit of this user
          </a>
        </div>
        <h2>Left now</h2>
        {isFailed(limits) ? (
          <p class="notice problem">{limits.message}</p>
        ) : (
          <Limits limits={limits} now={now} tenantId={tenantId} userId={userId} />
        )}
        <h2>Grants</h2>
        <Grants grants={grants} tenantId={tenantId} userId={userId} now={now} />
        <h2>Usage</h2>
        <UsageChart view={view} path="/admin/user" query={query} title={`${userId} of ${tenantId}, by model`} />
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

const Grants: FC<{ grants: Grant[]; tenantId: string; userId: string; now: number }> = ({
  grants,
  now,
  tenantId,
  userId,
}) => (
  <>
    {grants.length > 0 && (
      <Table
        caption="Grants that count now"
        rows={grants}
        empty=""
        columns={[
          { name: 'Tokens', cell: ({ tokens }) => grouped(tokens) },
          { name: 'Until', cell: ({ expires_at }) => <Time at={expires_at} /> },
          { name: 'Reason', cell: ({ reason }) => reason },
          { name: 'Granted', cell: ({ granted_at }) => <Time at={granted_at} /> },
          {
            name: 'Action',
            cell: ({ id }) => (
              <a href={href('/admin/grant/take-back', { tenant_id: tenantId, user_id: userId, id })}>
                Take back<span class="unseen"> this grant</span>
              </a>
            ),
          },
        ]}
      />
    )}
    <form class="inline" method="get" action="/admin/grant" aria-label="Grant tokens">
      <input type="hidden" name="tenant_id" value={tenantId} />
      <input type="hidden" name="user_id" value={userId} />
      <Field name="tokens" label="Tokens on top" type="number" min="1" max="9007199254740991" step="1" required />
      <Field name="expires_at" label="Until (UTC)" type="datetime-local" value={endOfDay(now)} required />
      <Field name="reason" label="Reason" maxlength={1024} required />
      <button type="submit">Grant tokens…</button>
    </form>
  </>
);

const endOfDay = (now: number) => `${new Date(now + 86_400_000).toISOString().slice(0, 10)}T00:00`;
