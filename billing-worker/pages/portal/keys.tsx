import { Hono } from 'hono';
import { listKeys, readKey, revokeKey } from '../data/api-keys.ts';
import type { PagesDeps } from '../deps.ts';
import { notFound, page, problem } from '../respond.tsx';
import { type PageEnv, tenantOf } from '../session/guard.ts';
import { Confirm } from '../view/forms.tsx';
import { holderText, isLive, KeyTable } from '../view/keys.tsx';
import { More } from '../view/table.tsx';

/** `/portal/keys`: the tenant's own. One that is lost can be revoked here; new ones come from the administrator. */
export function portalKeyRoutes({ sidecar }: PagesDeps): Hono<PageEnv> {
  const app = new Hono<PageEnv>();
  const ownKey = async (id: string, tenantId: string) => {
    const answer = await readKey(id, sidecar);
    return answer.ok && answer.value.tenant_id === tenantId ? answer.value : undefined;
  };
  app.get('/portal/keys', async (c) => {
    const tenantId = tenantOf(c);
    const { after } = c.req.query();
    const answer = await listKeys({ tenantId, after }, sidecar);
    return page(
      c,
      { title: 'Keys', current: 'Keys', ...(!answer.ok && { notice: problem(answer.message) }) },
      <>
        <h1>API keys</h1>
        <p class="lead">
          A key that was seen by others should be revoked at once. For a new one ask your administrator.
        </p>
        {answer.ok && (
          <>
            <KeyTable
              keys={answer.value.keys.filter(({ tenant_id }) => tenant_id === tenantId)}
              withTenant={false}
              empty={<p>There are no keys.</p>}
              actions={({ id, prefix }) => (
                <a href={`/portal/keys/${id}/revoke`}>
                  Revoke<span class="unseen"> {prefix}</span>
                </a>
              )}
            />
            <More path="/portal/keys" query={{ after }} next={answer.value.next} />
          </>
        )}
      </>,
    );
  });
  app.get('/portal/keys/:id/revoke', async (c) => {
    const key = await ownKey(c.req.param('id'), tenantOf(c));
    if (!key || !isLive(key)) return notFound(c);
    return page(
      c,
      { title: 'Revoke a key', current: 'Keys' },
      <Confirm
        question="Revoke this key?"
        explanation="It is refused from then on, for good. Whoever uses it is locked out; if you have signed in here with it, so are you."
        facts={[
          ['Key', <code>{key.prefix}…</code>],
          ['Name', key.name ?? '–'],
          ['Speaks for', holderText(key)],
        ]}
        action={`/portal/keys/${key.id}/revoke`}
        token={c.get('formToken')}
        verb="Revoke"
        danger
        back="/portal/keys"
      />,
    );
  });
  app.post('/portal/keys/:id/revoke', async (c) => {
    const key = await ownKey(c.req.param('id'), tenantOf(c));
    if (!key) return notFound(c);
    const answer = await revokeKey(key.id, { reason: `by ${key.tenant_id}, in the portal` }, sidecar);
    if (answer.ok) return c.redirect('/portal/keys?done=revoked', 303);
    return page(
      c,
      { title: 'Not done', current: 'Keys', status: 502, notice: problem(answer.message) },
      <p>
        The key was not revoked. <a href="/portal/keys">Back</a>
      </p>,
    );
  });
  return app;
}
