import { Hono } from 'hono';
import type { FC } from 'hono/jsx';
import { auditCsv } from '../../audit/csv.ts';
import { type AuditRow, auditPage } from '../../audit/timeline.ts';
import { parseAuditQuery } from '../../routes/audit-query.ts';
import type { PagesDeps } from '../deps.ts';
import { csvAnswer } from '../invoice-answers.ts';
import { page, problem } from '../respond.tsx';
import type { PageEnv } from '../session/guard.ts';
import { grouped, reasonText, Time } from '../view/format.tsx';
import { Field } from '../view/forms.tsx';
import { href, More, type Query, Table } from '../view/table.tsx';

const FILTERS = ['tenant_id', 'user_id', 'action', 'actor', 'target'] as const;
const LABELS: Record<(typeof FILTERS)[number], string> = {
  tenant_id: 'Tenant',
  user_id: 'User',
  action: 'Action',
  actor: 'Who did it',
  target: 'Target',
};

/** `/admin/audit`: who did what, and what was refused, the newest first. */
export function auditRoutes({ sql }: PagesDeps): Hono<PageEnv> {
  const app = new Hono<PageEnv>();
  app.get('/admin/audit', async (c) => {
    const query: Query = c.req.query();
    const asked = parseAuditQuery(parametersOf(query));
    const { data, next } = 'wrong' in asked ? { data: [], next: null } : await auditPage(asked, sql);
    const filters = Object.fromEntries(FILTERS.map((name) => [name, query[name]]));
    return page(
      c,
      {
        title: 'Audit',
        current: 'Audit',
        status: 'wrong' in asked ? 400 : 200,
        ...('wrong' in asked && { notice: problem(`This cannot be asked for: ${asked.wrong}.`) }),
      },
      <>
        <h1>Audit</h1>
        <p class="lead">Who did what, and what was refused, the newest first.</p>
        <form class="filters" method="get" action="/admin/audit" aria-label="Search">
          {FILTERS.map((name) => (
            <Field name={name} label={LABELS[name]} value={query[name]} />
          ))}
          <button type="submit">Show</button>
          <a class="button quiet" href={href('/admin/audit.csv', filters)}>
            Download CSV
          </a>
        </form>
        <AuditTable rows={data} />
        <More path="/admin/audit" query={{ ...filters, after: query.after }} next={next} />
      </>,
    );
  });
  app.get('/admin/audit.csv', async (c) => {
    const asked = parseAuditQuery(parametersOf({ ...c.req.query(), limit: '1000' }));
    return 'wrong' in asked
      ? c.text(asked.wrong, 400)
      : csvAnswer(c, auditCsv((await auditPage(asked, sql)).data), 'audit.csv');
  });
  return app;
}

/** A form sends the fields that were left empty, too. */
const parametersOf = (query: Query): URLSearchParams =>
  new URLSearchParams(
    Object.entries(query).filter((pair): pair is [string, string] => Boolean(pair[1]) && pair[0] !== 'done'),
  );

const AuditTable: FC<{ rows: AuditRow[] }> = ({ rows }) => (
  <Table
    caption="What was done and refused"
    rows={rows}
    empty={<p>Nothing like that has happened.</p>}
    columns={[
      { name: 'When', cell: ({ at }) => <Time at={at} seconds /> },
      { name: 'Action', cell: ({ action }) => <code>{action}</code> },
      { name: 'Who', cell: ({ actor, credential_id, user_id }) => actor ?? user_id ?? credential_id ?? '–' },
      { name: 'Tenant', cell: ({ tenant_id }) => tenant_id ?? '–' },
      { name: 'What', cell: (row) => <What row={row} /> },
      { name: 'From', cell: ({ source_ip }) => source_ip ?? '–' },
    ]}
  />
);

const What: FC<{ row: AuditRow }> = ({ row: { action, count, grant, limits = [], reason, target, user_id } }) => {
  const said = [
    action === 'request.denied' ? reasonText(reason ?? '') : reason,
    count > 1 && `${grouped(count)} requests`,
    grant && `${grouped(grant.tokens)} tokens for ${user_id}`,
  ].filter(Boolean);
  const details = [...limits.map(({ id }) => id), ...(target ? [target] : [])];
  return (
    <>
      {said.join(', ')}
      {details.length > 0 && (
        <span class="muted">
          {said.length > 0 && ' · '}
          {details.join(', ')}
        </span>
      )}
    </>
  );
};
