import { Hono } from 'hono';
import { billingCycleOf, cycleAt } from '../../cycles.ts';
import { previewCycle } from '../../invoices/close-cycle.ts';
import { listInvoices } from '../../invoices/read.ts';
import { isFailed, limitsNow } from '../data/limits-now.ts';
import type { PagesDeps } from '../deps.ts';
import { page } from '../respond.tsx';
import { type PageEnv, tenantOf } from '../session/guard.ts';
import { Limits } from '../view/bar.tsx';
import { duration, money, Time } from '../view/format.tsx';
import { InvoiceState } from '../view/invoices.tsx';
import { readUsage, UsageChart } from '../view/usage.tsx';

/** `/portal`: what is left and when there is more, what the next bill comes to, what was used. */
export function overviewRoutes(deps: PagesDeps): Hono<PageEnv> {
  const { clock, sidecar, sql, terms } = deps;
  const app = new Hono<PageEnv>();
  app.get('/portal', async (c) => {
    const tenantId = tenantOf(c);
    const { days, measure } = c.req.query();
    const now = clock.now();
    const cycle = cycleAt(now, billingCycleOf(terms().tenants, tenantId));
    const [
      limits,
      view,
      draft,
      {
        data: [latest],
      },
    ] = await Promise.all([
      limitsNow({ tenantId }, { sidecar, now }),
      readUsage({ tenantId, series: 'model', sums: [], days, measure }, deps),
      previewCycle(tenantId, cycle, deps),
      listInvoices({ tenantId, limit: 1 }, sql),
    ]);
    return page(
      c,
      { title: 'Overview', current: 'Overview', live: true },
      <>
        <h1>{tenantId}</h1>
        <h2>Left now</h2>
        {isFailed(limits) ? (
          <p class="notice problem">{limits.message} What is left cannot be shown now.</p>
        ) : limits.length === 0 ? (
          <div class="empty card">
            <p>There is no limit.</p>
          </div>
        ) : (
          <Limits limits={limits} now={now} tenantId={tenantId} />
        )}
        <h2>Billing</h2>
        <ul class="tiles">
          <li class="card tile" id="upcoming" data-fresh>
            <h3>Upcoming invoice</h3>
            <p class="figure">
              {money(draft.total, draft.currency)} <span class="muted">so far</span>
            </p>
            <p class="muted">
              The cycle ends in {duration(cycle.end - now)}: <Time at={cycle.end} />.{' '}
              <a href="/portal/invoices/upcoming">See its lines</a>
            </p>
          </li>
          <li class="card tile">
            <h3>Latest invoice</h3>
            {latest ? (
              <>
                <p class="figure">{money(latest.total, latest.currency)}</p>
                <p class="muted">
                  <a href={`/portal/invoices/${latest.id}`}>{latest.number}</a> of <Time at={latest.finalised_at} day />{' '}
                  <InvoiceState state={latest.state} />
                </p>
              </>
            ) : (
              <p class="muted">None yet.</p>
            )}
          </li>
        </ul>
        <h2>Usage</h2>
        <UsageChart view={view} path="/portal" query={{ days, measure }} title="by model" />
      </>,
    );
  });
  return app;
}
