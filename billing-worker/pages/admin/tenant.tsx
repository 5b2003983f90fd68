import { Hono } from 'hono';
import { billingCycleOf, cycleAt } from '../../cycles.ts';
import { previewCycle } from '../../invoices/close-cycle.ts';
import { isFailed, limitsNow } from '../data/limits-now.ts';
import { tenantIds } from '../data/tenant-table.ts';
import type { PagesDeps } from '../deps.ts';
import { notFound, page } from '../respond.tsx';
import type { PageEnv } from '../session/guard.ts';
import { Limits } from '../view/bar.tsx';
import { money, Time } from '../view/format.tsx';
import { Facts, PostForm } from '../view/forms.tsx';
import { href } from '../view/table.tsx';
import { readUsage, UsageChart, UsageSums } from '../view/usage.tsx';
import { userHref } from './users.tsx';

/** `/admin/tenant`: one tenant, and the one-time link to its portal. */
export function tenantRoutes(deps: PagesDeps): Hono<PageEnv> {
  const { clock, log, sessions, sidecar, terms } = deps;
  const app = new Hono<PageEnv>();
  app.get('/admin/tenant', async (c) => {
    const { days, measure, tenant_id: tenantId } = c.req.query();
    if (!tenantId || !(await isKnown(tenantId, deps))) return notFound(c);
    const now = clock.now();
    const cycle = cycleAt(now, billingCycleOf(terms().tenants, tenantId));
    const [limits, view, draft] = await Promise.all([
      limitsNow({ tenantId }, { sidecar, now }),
      readUsage({ tenantId, series: 'model', sums: ['user', 'model'], days, measure }, deps),
      previewCycle(tenantId, cycle, deps),
    ]);
    return page(
      c,
      { title: tenantId, current: 'Tenants', live: true },
      <>
        <div class="head">
          <h1>{tenantId}</h1>
          <PostForm action="/admin/link" token={c.get('formToken')} hidden={{ tenant_id: tenantId }}>
            <button type="submit" class="quiet">
              Make a sign-in link to its portal
            </button>
          </PostForm>
        </div>
        <Facts
          facts={[
            [
              'Running cycle',
              <>
                <Time at={cycle.start} /> to <Time at={cycle.end} />
              </>,
            ],
            ['Upcoming invoice', `${money(draft.total, draft.currency)} so far`],
            [
              'See also',
              <>
                <a href={href('/admin', { tenant_id: tenantId })}>Users</a> ·{' '}
                <a href={href('/admin/keys', { tenant_id: tenantId })}>Keys</a> ·{' '}
                <a href={href('/admin/invoices', { tenant_id: tenantId })}>Invoices</a> ·{' '}
                <a href={href('/admin/audit', { tenant_id: tenantId })}>Audit</a> ·{' '}
                <a href={href('/admin/usage.csv', { tenant_id: tenantId, group_by: 'day' })}>Usage as CSV</a>
              </>,
            ],
          ]}
        />
        <h2>Left now</h2>
        {isFailed(limits) ? (
          <p class="notice problem">{limits.message}</p>
        ) : (
          <Limits limits={limits} now={now} tenantId={tenantId} />
        )}
        <h2>Usage</h2>
        <UsageChart
          view={view}
          path="/admin/tenant"
          query={{ tenant_id: tenantId, days, measure }}
          title={`${tenantId}, by model`}
        />
        <div class="columns-2">
          {view.sums.map(({ by, rows }) => (
            <div>
              <h2>By {by}</h2>
              <UsageSums
                by={by}
                rows={rows}
                currency={view.currency}
                {...(by === 'user' && { hrefOf: (key: string) => userHref(tenantId, key) })}
              />
            </div>
          ))}
        </div>
      </>,
    );
  });
  app.post('/admin/link', async (c) => {
    const tenantId = String((await c.req.parseBody()).tenant_id ?? '');
    if (!(await isKnown(tenantId, deps))) return notFound(c);
    const { expiresAt, secret } = await sessions.makeLink(tenantId);
    log.info({ tenant_id: tenantId }, 'a sign-in link to a portal was made');
    const link = new URL(`/portal/enter/${secret}`, c.req.url);
    if (c.req.header('X-Forwarded-Proto') === 'https') link.protocol = 'https:';
    return page(
      c,
      { title: 'Sign-in link', current: 'Tenants' },
      <section class="card confirm">
        <h1>A link for {tenantId}</h1>
        <p>
          Whoever opens it sees the portal of {tenantId}. It works once, until <Time at={expiresAt} />, and is shown
          here only.
        </p>
        <code class="secret" id="link">
          {link.href}
        </code>
        <p>
          <a href={href('/admin/tenant', { tenant_id: tenantId })}>Back to {tenantId}</a>
        </p>
      </section>,
    );
  });
  return app;
}

const isKnown = async (tenantId: string, deps: PagesDeps) => (await tenantIds(deps)).includes(tenantId);
