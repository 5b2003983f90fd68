import { Hono } from 'hono';
import { billingCycleOf, cycleAt } from '../../cycles.ts';
import { previewCycle } from '../../invoices/close-cycle.ts';
import { listInvoices } from '../../invoices/read.ts';
import type { PagesDeps } from '../deps.ts';
import { invoiceCsvAnswer, invoicePageAnswer } from '../invoice-answers.ts';
import { notFound, page } from '../respond.tsx';
import { type PageEnv, tenantOf } from '../session/guard.ts';
import { money, Time } from '../view/format.tsx';
import { DraftLines, InvoiceTable } from '../view/invoices.tsx';
import { More } from '../view/table.tsx';

const PAGE_SIZE = 50;

/** `/portal/invoices`: those that there are, to print or as CSV; `/upcoming`: the next one as it stands. */
export function portalInvoiceRoutes(deps: PagesDeps): Hono<PageEnv> {
  const { clock, sql, terms } = deps;
  const app = new Hono<PageEnv>();
  app.get('/portal/invoices', async (c) => {
    const { after } = c.req.query();
    const { data, next } = await listInvoices({ tenantId: tenantOf(c), after, limit: PAGE_SIZE }, sql);
    return page(
      c,
      { title: 'Invoices', current: 'Invoices' },
      <>
        <div class="head">
          <h1>Invoices</h1>
          <a class="button quiet" href="/portal/invoices/upcoming">
            Upcoming invoice
          </a>
        </div>
        <p class="lead">Open one to print it, or to save it as PDF.</p>
        <InvoiceTable invoices={data} withTenant={false} hrefOf={(id) => `/portal/invoices/${id}`} />
        <More path="/portal/invoices" query={{ after }} next={next} />
      </>,
    );
  });
  app.get('/portal/invoices/upcoming', async (c) => {
    const tenantId = tenantOf(c);
    const cycle = cycleAt(clock.now(), billingCycleOf(terms().tenants, tenantId));
    const draft = await previewCycle(tenantId, cycle, deps);
    return page(
      c,
      { title: 'Upcoming invoice', current: 'Invoices' },
      <>
        <h1>Upcoming invoice</h1>
        <p class="lead">
          <Time at={cycle.start} /> to <Time at={cycle.end} />. {money(draft.total, draft.currency)} as it stands now.
        </p>
        {draft.lines.length > 0 || draft.held.length > 0 ? (
          <DraftLines draft={draft} />
        ) : (
          <div class="empty card">
            <p>Nothing is to be billed yet.</p>
          </div>
        )}
      </>,
    );
  });
  app.get(
    '/portal/invoices/:id',
    async (c) => (await invoicePageAnswer(c, c.req.param('id'), tenantOf(c), sql)) ?? notFound(c),
  );
  app.get(
    '/portal/invoices/:id/csv',
    async (c) => (await invoiceCsvAnswer(c, c.req.param('id'), tenantOf(c), sql)) ?? notFound(c),
  );
  return app;
}
