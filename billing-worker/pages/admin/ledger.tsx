import { Hono } from 'hono';
import type { FC } from 'hono/jsx';
import { type DeadLetter, listDeadLetters } from '../../dead-letters/list.ts';
import { replayDeadLetters } from '../../dead-letters/replay.ts';
import { type HeldUsage, heldUsage } from '../../held/held-usage.ts';
import { type Reconciled, reconcile } from '../../reconcile/reconcile.ts';
import type { PagesDeps } from '../deps.ts';
import { page } from '../respond.tsx';
import type { PageEnv } from '../session/guard.ts';
import { grouped, Time } from '../view/format.tsx';
import { Confirm } from '../view/forms.tsx';
import { Badge, href, More, Table } from '../view/table.tsx';

const PAGE_SIZE = 50;

/** `/admin/ledger`: what keeps the books from being whole: usage without a price, entries that cannot be read, sums that do not agree. */
export function ledgerRoutes(deps: PagesDeps): Hono<PageEnv> {
  const { sql, terms } = deps;
  const app = new Hono<PageEnv>();
  app.get('/admin/ledger', async (c) => {
    const { after, check } = c.req.query();
    const [held, letters, report] = await Promise.all([
      heldUsage(undefined, terms(), sql),
      listDeadLetters({ after: readId(after), limit: PAGE_SIZE, raw: false }, sql),
      check === undefined ? undefined : reconcile({ limit: 100 }, deps),
    ]);
    const isWaiting = letters.data.some(({ replayed_at }) => replayed_at === null);
    return page(
      c,
      { title: 'Ledger', current: 'Ledger' },
      <>
        <h1>Ledger</h1>
        <p class="lead">What is not billed yet, and what does not add up.</p>
        <h2>Held: usage without a price</h2>
        <Held rows={held} />
        <div class="head">
          <h2>Dead letters: entries that could not be read</h2>
          {isWaiting && (
            <a class="button quiet" href="/admin/ledger/replay">
              Read them again…
            </a>
          )}
        </div>
        <Letters rows={letters.data} />
        <More path="/admin/ledger" query={{ after: readId(after) }} next={letters.next} />
        <div class="head">
          <h2>Ledger, rollups, invoices and counters</h2>
          <a class="button quiet" href={href('/admin/ledger', { check: 'now' })}>
            Compare now
          </a>
        </div>
        {report ? (
          <Drifts report={report} />
        ) : (
          <p class="muted">Not compared on this page yet. It reads the whole ledger of up to 100 tenants.</p>
        )}
      </>,
    );
  });
  replaying(app, deps);
  return app;
}

const readId = (text: string | undefined) => (text !== undefined && /^[1-9]\d{0,17}$/.test(text) ? text : undefined);

function replaying(app: Hono<PageEnv>, deps: PagesDeps): void {
  app.get('/admin/ledger/replay', async (c) => {
    const { refused, replayed } = await replayDeadLetters({ dryRun: true }, deps);
    return page(
      c,
      { title: 'Read dead letters again', current: 'Ledger' },
      <Confirm
        question="Read the dead letters again?"
        explanation="By the rules of today. What can be read becomes part of the ledger, once; the rest stays here."
        facts={[
          ['Can be read now', grouped(replayed.length)],
          ['Still cannot', grouped(refused.length)],
        ]}
        action="/admin/ledger/replay"
        token={c.get('formToken')}
        verb="Read again"
        back="/admin/ledger"
      />,
    );
  });
  app.post('/admin/ledger/replay', async (c) => {
    await replayDeadLetters({ dryRun: false }, deps);
    return c.redirect('/admin/ledger?done=replayed', 303);
  });
}

const Held: FC<{ rows: HeldUsage[] }> = ({ rows }) => (
  <Table
    caption="Usage that waits for a price, by tenant and model"
    rows={rows}
    empty={<p>All usage has a price.</p>}
    columns={[
      { name: 'Model', cell: ({ model }) => model },
      { name: 'Tenant', cell: ({ tenant_id }) => tenant_id },
      {
        name: 'Waits for',
        cell: ({ waits_for }) =>
          waits_for === 'price' ? (
            <Badge kind="warn">a price in models.yaml</Badge>
          ) : (
            <Badge kind="off">the next invoice</Badge>
          ),
      },
      { name: 'Events', number: true, cell: ({ events }) => grouped(events) },
      { name: 'LLM tokens', number: true, cell: ({ tokens }) => grouped(tokens) },
      { name: 'From', cell: ({ first }) => <Time at={first} /> },
      { name: 'To', cell: ({ last }) => <Time at={last} /> },
    ]}
  />
);

const Letters: FC<{ rows: DeadLetter[] }> = ({ rows }) => (
  <Table
    caption="Stream entries that could not become a row of the ledger"
    rows={rows}
    empty={<p>Every entry could be read.</p>}
    columns={[
      { name: 'Entry', cell: ({ stream, stream_id }) => <code>{`${stream} ${stream_id}`}</code> },
      { name: 'Came', cell: ({ at }) => <Time at={at} /> },
      { name: 'Reason', cell: ({ reason }) => reason },
      { name: 'Bytes', number: true, cell: ({ size }) => grouped(size) },
      {
        name: 'State',
        cell: ({ replayed_at }) =>
          replayed_at === null ? <Badge kind="over">waits</Badge> : <Badge kind="ok">in the ledger</Badge>,
      },
    ]}
  />
);

const Drifts: FC<{ report: Reconciled }> = ({ report: { checked, data, next } }) => (
  <>
    <Table
      caption="Tenants of which something does not agree"
      rows={data}
      empty={<p>Of {grouped(checked)} tenants everything agrees.</p>}
      columns={[
        { name: 'Tenant', cell: ({ tenant_id }) => tenant_id },
        { name: 'Rollups', number: true, cell: ({ rollups }) => grouped(rollups.found) },
        { name: 'Invoices', number: true, cell: ({ invoices }) => grouped(invoices.found) },
        { name: 'Counters', number: true, cell: ({ counters }) => grouped(counters.found) },
      ]}
    />
    <p class="muted">
      {data.length > 0 && 'npm run billing -- reconcile tells each difference, and repairs rollups. '}
      {next !== null && 'There are more tenants: npm run billing -- reconcile compares all of them.'}
    </p>
  </>
);
