import { Hono } from 'hono';
import { issueKey, listKeys, readKey, revokeKey, rotateKey } from '../data/api-keys.ts';
import type { Failed } from '../data/sidecar-api.ts';
import type { PagesDeps } from '../deps.ts';
import { notFound, page, problem } from '../respond.tsx';
import type { PageContext, PageEnv } from '../session/guard.ts';
import { Confirm, Field } from '../view/forms.tsx';
import { holderText, KeyTable, NewKey } from '../view/keys.tsx';
import { href, More } from '../view/table.tsx';

const FIELDS = ['tenant_id', 'team_id', 'user_id', 'name', 'expires_in', 'reason'] as const;
const NAMES: Record<(typeof FIELDS)[number], string> = {
  tenant_id: 'Tenant',
  team_id: 'Team',
  user_id: 'User',
  name: 'Name',
  expires_in: 'Lives for',
  reason: 'Reason',
};

/** `/admin/keys`: issue, rotate and revoke. Each asks first; a new key is shown once, in the answer that makes it. */
export function keyRoutes(deps: PagesDeps): Hono<PageEnv> {
  const { sidecar } = deps;
  const app = new Hono<PageEnv>();
  app.get('/admin/keys', async (c) => {
    const { after, tenant_id } = c.req.query();
    const answer = await listKeys({ tenantId: tenant_id || undefined, after }, sidecar);
    const notice = answer.ok ? undefined : problem(answer.message);
    return page(
      c,
      { title: 'Keys', current: 'Keys', notice },
      <>
        <div class="head">
          <h1>API keys{tenant_id && ` of ${tenant_id}`}</h1>
          <a class="button" href={href('/admin/keys/new', { tenant_id })}>
            Issue a key…
          </a>
        </div>
        <form class="filters" method="get" action="/admin/keys" aria-label="Search">
          <Field name="tenant_id" label="Tenant" value={tenant_id} />
          <button type="submit">Show</button>
        </form>
        {answer.ok && (
          <>
            <KeyTable
              keys={answer.value.keys}
              withTenant
              empty={<p>There are no keys.</p>}
              actions={({ id, state }) => (
                <>
                  {state === 'active' && <a href={`/admin/keys/${id}/rotate`}>Rotate</a>}{' '}
                  <a href={`/admin/keys/${id}/revoke`}>Revoke</a>
                </>
              )}
            />
            <More path="/admin/keys" query={{ tenant_id, after }} next={answer.value.next} />
          </>
        )}
      </>,
    );
  });
  issuing(app, deps);
  changing(app, deps);
  return app;
}

function issuing(app: Hono<PageEnv>, { once, sidecar }: PagesDeps): void {
  app.get('/admin/keys/new', (c) =>
    page(
      c,
      { title: 'Issue a key', current: 'Keys' },
      <section class="card confirm">
        <h1>Issue a key</h1>
        <form class="stacked" method="get" action="/admin/keys/issue">
          <Field name="tenant_id" label="Tenant" value={c.req.query('tenant_id')} required maxlength={256} />
          <Field name="user_id" label="User" hint="If it is to speak for one user only" maxlength={256} />
          <Field name="team_id" label="Team" hint="If it is to speak for one team only" maxlength={256} />
          <Field name="name" label="Name" hint="For people, such as laptop" maxlength={256} />
          <Field name="expires_in" label="Lives for" hint="Such as 90d; without end if left empty" />
          <Field name="reason" label="Reason" hint="For the audit" maxlength={1024} />
          <div class="actions">
            <button type="submit">Go on…</button>
            <a class="button quiet" href="/admin/keys">
              Cancel
            </a>
          </div>
        </form>
      </section>,
    ),
  );
  app.get('/admin/keys/issue', (c) => {
    const wanted = wantedOf(c.req.query());
    return page(
      c,
      { title: 'Issue a key', current: 'Keys' },
      <Confirm
        question="Issue this key?"
        explanation="Whoever has it may ask in this name. The key is shown once, on the next page."
        facts={FIELDS.flatMap((name) => (wanted[name] === undefined ? [] : [[NAMES[name], wanted[name]] as const]))}
        action="/admin/keys/issue"
        hidden={{ ...wanted, mark: once.mark() }}
        token={c.get('formToken')}
        verb="Issue"
        back="/admin/keys"
      />,
    );
  });
  app.post('/admin/keys/issue', async (c) => {
    const body = (await c.req.parseBody()) as Record<string, string>;
    if (!once.take(body.mark ?? '')) return sentTwice(c);
    const answer = await issueKey(wantedOf(body), sidecar);
    if (!answer.ok) return failed(c, answer);
    const about = `Issued for ${holderText(answer.value)}.`;
    return page(
      c,
      { title: 'The new key', current: 'Keys' },
      <NewKey secret={answer.value.key} about={about} back="/admin/keys" />,
    );
  });
}

const wantedOf = (given: Record<string, string>): Partial<Record<(typeof FIELDS)[number], string>> =>
  Object.fromEntries(FIELDS.flatMap((name) => (given[name]?.trim() ? [[name, given[name].trim()]] : [])));

function changing(app: Hono<PageEnv>, { once, sidecar }: PagesDeps): void {
  app.get('/admin/keys/:id/:change{rotate|revoke}', async (c) => {
    const { change, id } = c.req.param();
    const answer = await readKey(id, sidecar);
    if (!answer.ok) return answer.status === 0 ? failed(c, answer) : notFound(c);
    const isRotation = change === 'rotate';
    return page(
      c,
      { title: isRotation ? 'Rotate a key' : 'Revoke a key', current: 'Keys' },
      <Confirm
        question={isRotation ? 'Put a new key in the place of this one?' : 'Revoke this key?'}
        explanation={
          isRotation
            ? 'Both are good for 72 hours; then the old one ends by itself. The new one is shown once, on the next page.'
            : 'Every sidecar refuses it from then on, for good. Whoever uses it is locked out.'
        }
        facts={[
          ['Key', <code>{answer.value.prefix}…</code>],
          ['Name', answer.value.name ?? '–'],
          ['Tenant', answer.value.tenant_id],
          ['Speaks for', holderText(answer.value)],
        ]}
        action={`/admin/keys/${id}/${change}`}
        hidden={isRotation ? { mark: once.mark() } : {}}
        token={c.get('formToken')}
        verb={isRotation ? 'Rotate' : 'Revoke'}
        danger={!isRotation}
        back={href('/admin/keys', { tenant_id: answer.value.tenant_id })}
      />,
    );
  });
  app.post('/admin/keys/:id/revoke', async (c) => {
    const answer = await revokeKey(c.req.param('id'), { reason: 'in the admin pages' }, sidecar);
    return answer.ok
      ? c.redirect(href('/admin/keys', { tenant_id: answer.value.tenant_id, done: 'revoked' }), 303)
      : failed(c, answer);
  });
  app.post('/admin/keys/:id/rotate', async (c) => {
    const mark = String((await c.req.parseBody()).mark ?? '');
    if (!once.take(mark)) return sentTwice(c);
    const answer = await rotateKey(c.req.param('id'), { reason: 'in the admin pages' }, sidecar);
    if (!answer.ok) return failed(c, answer);
    const about = `It takes the place of ${c.req.param('id')}, which is good for 72 hours more.`;
    return page(
      c,
      { title: 'The new key', current: 'Keys' },
      <NewKey secret={answer.value.key} about={about} back="/admin/keys" />,
    );
  });
}

const failed = (c: PageContext, { message, status }: Failed) =>
  page(
    c,
    { title: 'Not done', current: 'Keys', status: status === 0 ? 503 : 400, notice: problem(message) },
    <section class="card confirm">
      <h1>Nothing was changed</h1>
      <p>
        <a href="/admin/keys">Back to the keys</a>
      </p>
    </section>,
  );

const sentTwice = (c: PageContext) =>
  page(
    c,
    {
      title: 'Sent twice',
      current: 'Keys',
      status: 409,
      notice: problem('This form was sent before; it made one key, and not a second.'),
    },
    <section class="card confirm">
      <h1>Only one key was made</h1>
      <p>If you have not copied it, revoke it and issue another.</p>
      <p>
        <a href="/admin/keys">Back to the keys</a>
      </p>
    </section>,
  );
