import { Hono } from 'hono';
import { z } from 'zod';
import { grantTokens, listGrants, takeBackGrant } from '../data/grants.ts';
import type { PagesDeps } from '../deps.ts';
import { notFound, page, problem } from '../respond.tsx';
import type { PageContext, PageEnv } from '../session/guard.ts';
import { grouped, Time } from '../view/format.tsx';
import { Confirm } from '../view/forms.tsx';
import { userHref } from './users.tsx';

const MAX = Number.MAX_SAFE_INTEGER;

/** As the form has it: an instant without its zone is of UTC. */
const grantSchema = z.object({
  tenant_id: z.string().min(1),
  user_id: z.string().min(1),
  tokens: z.coerce
    .number({ error: 'Tokens must be a whole number.' })
    .pipe(z.int({ error: 'Tokens must be a whole number.' }).min(1, { error: 'Tokens must be 1 or more.' }).max(MAX)),
  expires_at: z
    .string()
    .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(\.\d+)?Z?$/, { error: 'Until must be a date and a time.' })
    .transform((text) => new Date(text.endsWith('Z') ? text : `${text}Z`))
    .refine((date) => !Number.isNaN(date.getTime()), { error: 'Until must be a date and a time.' })
    .transform((date) => date.toISOString()),
  reason: z.string().trim().min(1, { error: 'A reason is needed.' }).max(1_024),
});

/** `/admin/grant`: tokens on top of a user's budgets, for a while. GET asks, POST grants. */
export function grantRoutes(deps: PagesDeps): Hono<PageEnv> {
  const { once, sidecar } = deps;
  const app = new Hono<PageEnv>();
  app.get('/admin/grant', (c) => {
    const parsed = grantSchema.safeParse(c.req.query());
    return parsed.success
      ? ask(c, parsed.data, once.mark())
      : refused(c, parsed.error.issues[0]?.message ?? 'This cannot be granted.', c.req.query());
  });
  app.post('/admin/grant', async (c) => {
    const body = await c.req.parseBody();
    const parsed = grantSchema.safeParse(body);
    if (!parsed.success) return refused(c, parsed.error.issues[0]?.message ?? 'This cannot be granted.', body);
    const { expires_at: expiresAt, reason, tenant_id: tenantId, tokens, user_id: userId } = parsed.data;
    const answer = await grantTokens(
      { tenantId, userId },
      { tokens, expiresAt, reason, mark: String(body.mark ?? '') },
      sidecar,
    );
    return answer.ok ? c.redirect(`${userHref(tenantId, userId)}&done=granted`, 303) : refused(c, answer.message, body);
  });
  app.get('/admin/grant/take-back', async (c) => {
    const { id = '', tenant_id: tenantId = '', user_id: userId = '' } = c.req.query();
    const grant = (await listGrants({ tenantId, userId }, sidecar)).find((each) => each.id === id);
    if (!grant) return notFound(c);
    return page(
      c,
      { title: 'Take back a grant', current: 'Users' },
      <Confirm
        question="Take this grant back?"
        explanation="The user’s budgets are smaller at once. What was used stays used."
        facts={[
          ['User', userId],
          ['Tenant', tenantId],
          ['Tokens', grouped(grant.tokens)],
          ['Until', <Time at={grant.expires_at} />],
          ['Reason', grant.reason],
        ]}
        action="/admin/grant/take-back"
        hidden={{ tenant_id: tenantId, user_id: userId, id }}
        token={c.get('formToken')}
        verb="Take back"
        danger
        back={userHref(tenantId, userId)}
      />,
    );
  });
  app.post('/admin/grant/take-back', async (c) => {
    const { id = '', tenant_id = '', user_id = '' } = (await c.req.parseBody()) as Record<string, string>;
    const answer = await takeBackGrant({ tenantId: tenant_id, userId: user_id }, id, sidecar);
    return answer.ok
      ? c.redirect(`${userHref(tenant_id, user_id)}&done=taken-back`, 303)
      : refused(c, answer.message, { tenant_id, user_id });
  });
  return app;
}

const ask = (
  c: PageContext,
  { expires_at, reason, tenant_id, tokens, user_id }: z.output<typeof grantSchema>,
  mark: string,
) =>
  page(
    c,
    { title: 'Grant tokens', current: 'Users' },
    <Confirm
      question={`Grant ${grouped(tokens)} tokens to ${user_id}?`}
      explanation="Each of the user’s budgets holds so much more, in every day and month until then. It counts at once."
      facts={[
        ['User', user_id],
        ['Tenant', tenant_id],
        ['Tokens', grouped(tokens)],
        ['Until', <Time at={expires_at} />],
        ['Reason', reason],
      ]}
      action="/admin/grant"
      hidden={{ tenant_id, user_id, tokens: String(tokens), expires_at, reason, mark }}
      token={c.get('formToken')}
      verb="Grant"
      back={userHref(tenant_id, user_id)}
    />,
  );

const refused = (c: PageContext, message: string, { tenant_id, user_id }: Record<string, unknown>) =>
  page(
    c,
    { title: 'Not done', current: 'Users', status: 400, notice: problem(message) },
    <section class="card confirm">
      <h1>Nothing was changed</h1>
      <p>
        <a
          href={typeof tenant_id === 'string' && typeof user_id === 'string' ? userHref(tenant_id, user_id) : '/admin'}
        >
          Back
        </a>
      </p>
    </section>,
  );
