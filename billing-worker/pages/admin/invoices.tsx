import { Hono } from 'hono';
import { readPrinted } from '../../exports/read-printed.ts';
import { closeCycle, previewCycle } from '../../invoices/close-cycle.ts';
import { dueCycles } from '../../invoices/due-cycles.ts';
import { cycleOf } from '../../invoices/find-cycle.ts';
import { listInvoices } from '../../invoices/read.ts';
import { changeState } from '../../invoices/states.ts';
import { readCycleId, writeCycleId } from '../../routes/cycle-id.ts';
import { sourceIp } from '../../routes/source-ip.ts';
import type { PagesDeps } from '../deps.ts';
import { invoiceCsvAnswer, invoicePageAnswer } from '../invoice-answers.ts';
import { notFound, page, problem } from '../respond.tsx';
import type { PageContext, PageEnv } from '../session/guard.ts';
import { money, Time } from '../view/format.tsx';
import { Confirm, Field } from '../view/forms.tsx';
import { DraftLines, InvoiceTable } from '../view/invoices.tsx';
import { href, More, Table } from '../view/table.tsx';

const PAGE_SIZE = 50;

/** `/admin/invoices`: what was billed, and cycles that are to be closed. Closing shows first what the invoice would be. */
export function invoiceRoutes(deps: PagesDeps): Hono<PageEnv> {
  const { clock, graceMs, sql, terms } = deps;
  const app = new Hono<PageEnv>();
  app.get('/admin/invoices', async (c) => {
    const { after, tenant_id } = c.req.query();
    const tenantId = tenant_id || undefined;
    const [invoices, due] = await Promise.all([
      listInvoices({ tenantId, after, limit: PAGE_SIZE }, sql),
      dueCycles({ endedBy: clock.now() - graceMs, tenantId }, terms(), sql),
    ]);
    return page(
      c,
      { title: 'Invoices', current: 'Invoices' },
      <>
        <h1>Invoices{tenantId && ` of ${tenantId}`}</h1>
        <form class="filters" method="get" action="/admin/invoices" aria-label="Search">
          <Field name="tenant_id" label="Tenant" value={tenant_id} />
          <button type="submit">Show</button>
        </form>
        <h2>Cycles to close</h2>
        <Table
          caption="Cycles that are over and have no invoice"
          rows={due.slice(0, PAGE_SIZE)}
          empty={<p>Every cycle that is over has its invoice.</p>}
          columns={[
            { name: 'Tenant', cell: (one) => one.tenantId },
            {
              name: 'Period',
              cell: ({ cycle }) => (
                <>
                  <Time at={cycle.start} /> to <Time at={cycle.end} />
                </>
              ),
            },
            {
              name: 'Action',
              cell: ({ cycle, tenantId: id }) => (
                <a href={href('/admin/cycle', { id: writeCycleId({ tenantId: id, start: cycle.start }) })}>
                  Look at the invoice, then close<span class="unseen"> the cycle of {id}</span>
                </a>
              ),
            },
          ]}
        />
        {due.length > PAGE_SIZE && (
          <p class="muted">{due.length - PAGE_SIZE} more; npm run billing -- close closes them all.</p>
        )}
        <h2>Issued</h2>
        <InvoiceTable
          invoices={invoices.data}
          withTenant
          hrefOf={(id) => `/admin/invoices/${id}`}
          actions={({ id, kind, state }) =>
            kind === 'invoice' && state !== 'void' ? (
              <>
                {state === 'finalised' && <a href={`/admin/invoices/${id}/paid`}>Paid</a>}{' '}
                <a href={`/admin/invoices/${id}/void`}>Void</a>
              </>
            ) : (
              <span class="muted">none</span>
            )
          }
        />
        <More path="/admin/invoices" query={{ tenant_id, after }} next={invoices.next} />
      </>,
    );
  });
  closing(app, deps);
  stating(app, deps);
  app.get(
    '/admin/invoices/:id',
    async (c) => (await invoicePageAnswer(c, c.req.param('id'), undefined, sql)) ?? notFound(c),
  );
  app.get(
    '/admin/invoices/:id/csv',
    async (c) => (await invoiceCsvAnswer(c, c.req.param('id'), undefined, sql)) ?? notFound(c),
  );
  return app;
}

function closing(app: Hono<PageEnv>, deps: PagesDeps): void {
  const { clock, graceMs, sql, terms } = deps;
  const find = async (text: string) => {
    const id = readCycleId(text);
    const cycle = id && (await cycleOf(id, terms(), sql));
    return id && cycle ? { tenantId: id.tenantId, cycle, isOver: clock.now() >= cycle.end + graceMs } : undefined;
  };
  app.get('/admin/cycle', async (c) => {
    const found = await find(c.req.query('id') ?? '');
    if (!found) return notFound(c);
    const { cycle, isOver, tenantId } = found;
    const draft = await previewCycle(tenantId, cycle, deps);
    const isEmpty = draft.lines.length === 0;
    return page(
      c,
      { title: 'Close a cycle', current: 'Invoices' },
      <>
        <h1>The invoice of {tenantId}, as it would be</h1>
        <p class="lead">
          <Time at={cycle.start} /> to <Time at={cycle.end} />,{' '}
          {isEmpty ? 'nothing to bill' : money(draft.total, draft.currency)}
        </p>
        {!isEmpty && <DraftLines draft={draft} />}
        {isOver ? (
          <Confirm
            question="Close this cycle?"
            explanation="The invoice gets its number and never changes again. Usage that comes later is an adjustment on the next one."
            facts={[]}
            action="/admin/cycle"
            hidden={{ id: c.req.query('id') ?? '' }}
            token={c.get('formToken')}
            verb="Close, and issue the invoice"
            back="/admin/invoices"
          />
        ) : (
          <p class="notice hint">
            It can be closed from <Time at={cycle.end + graceMs} /> on: its end, and the time that late usage has.
          </p>
        )}
      </>,
    );
  });
  app.post('/admin/cycle', async (c) => {
    const found = await find(String((await c.req.parseBody()).id ?? ''));
    if (!found) return notFound(c);
    if (!found.isOver) return refused(c, 'The cycle is not over yet.');
    const { already, invoice } = await closeCycle(found.tenantId, found.cycle, 'admin', deps, sourceIp(c));
    const done = already ? 'already-closed' : invoice ? 'closed' : 'nothing-to-bill';
    return c.redirect(href('/admin/invoices', { tenant_id: found.tenantId, done }), 303);
  });
}

function stating(app: Hono<PageEnv>, { clock, sql }: PagesDeps): void {
  app.get('/admin/invoices/:id/:state{paid|void}', async (c) => {
    const { id, state } = c.req.param();
    const printed = await readPrinted(id, sql);
    if (!printed) return notFound(c);
    const { currency, number, tenant_id, total } = printed.document;
    return page(
      c,
      { title: 'Invoice', current: 'Invoices' },
      <Confirm
        question={state === 'paid' ? `Mark ${number} as paid?` : `Make ${number} void?`}
        explanation={
          state === 'paid'
            ? 'It stays as it is, and is marked.'
            : 'It counts no longer, for good. Its usage is not billed again by this.'
        }
        facts={[
          ['Tenant', tenant_id],
          ['Total', money(total, currency)],
        ]}
        action={`/admin/invoices/${id}/${state}`}
        token={c.get('formToken')}
        verb={state === 'paid' ? 'Mark as paid' : 'Make void'}
        danger={state === 'void'}
        back="/admin/invoices"
      />,
    );
  });
  app.post('/admin/invoices/:id/:state{paid|void}', async (c) => {
    const { id } = c.req.param();
    const state = c.req.param('state') === 'paid' ? 'paid' : 'void';
    const changed = await changeState(id, { state, at: clock.now(), by: 'admin', sourceIp: sourceIp(c) }, sql);
    if (!changed) return notFound(c);
    if (changed.refused) return refused(c, `The invoice is ${changed.state}, and cannot become ${state}.`);
    return c.redirect(href('/admin/invoices', { done: state }), 303);
  });
}

const refused = (c: PageContext, message: string) =>
  page(
    c,
    { title: 'Not done', current: 'Invoices', status: 409, notice: problem(message) },
    <section class="card confirm">
      <h1>Nothing was changed</h1>
      <p>
        <a href="/admin/invoices">Back to the invoices</a>
      </p>
    </section>,
  );
