import { Hono } from 'hono';
import { sourceIp } from '../../routes/source-ip.ts';
import { holderOfKey } from '../data/api-keys.ts';
import type { PagesDeps } from '../deps.ts';
import { page, problem } from '../respond.tsx';
import { setSecret } from '../session/cookies.ts';
import { nextPage, type PageContext, type PageEnv } from '../session/guard.ts';
import { Field, PostForm } from '../view/forms.tsx';
import type { Notice } from '../view/layout.tsx';

/** `/portal/sign-in`, with an API key of the whole tenant; `/portal/enter/{token}`, by a one-time link. */
export function portalSignIn({ attempts, clock, sessions, sidecar, sql }: PagesDeps): Hono<PageEnv> {
  const app = new Hono<PageEnv>();
  app.get('/portal/sign-in', (c) => form(c));
  app.post('/portal/sign-in', async (c) => {
    const body = await c.req.parseBody();
    const given = String(body.key ?? '').trim();
    const attempt = await attempts.try(sourceIp(c), given, () =>
      holderOfKey(given, { sql, sidecar, now: clock.now() }),
    );
    if ('waitMs' in attempt) return tooMany(c, attempt.waitMs);
    if ('wrong' in attempt)
      return form(c, { status: 401, notice: problem('That is no key of yours, or it no longer counts.') });
    if (!attempt.ok.isTenants) {
      const text =
        'This key is of one user or team, and the portal shows all of the tenant. Use a key of the whole tenant, or ask your administrator for a link.';
      return form(c, { status: 403, notice: problem(text) });
    }
    const { secret } = await sessions.openTenant(attempt.ok.tenantId, `key:${attempt.ok.id}`);
    setSecret(c, 'portal', secret);
    return c.redirect(nextPage('portal', String(body.next ?? '')), 303);
  });
  // Programs that look at links before people do must not use them up: that takes the button.
  app.get('/portal/enter/:token', (c) =>
    page(
      c,
      { title: 'Sign in' },
      <section class="card sign-in">
        <h1>Sign in</h1>
        <p class="lead">Your administrator has made this link for you. It works once.</p>
        <PostForm action="" token={c.get('formToken')}>
          <button type="submit">Open the portal</button>
        </PostForm>
      </section>,
    ),
  );
  app.post('/portal/enter/:token', async (c) => {
    const attempt = await attempts.try(sourceIp(c), c.req.param('token'), () => sessions.useLink(c.req.param('token')));
    if ('waitMs' in attempt) return tooMany(c, attempt.waitMs);
    if ('wrong' in attempt)
      return form(c, {
        status: 401,
        notice: problem('This link was used before, or its quarter of an hour is over. Ask for another.'),
      });
    const { secret } = await sessions.openTenant(attempt.ok, 'link');
    setSecret(c, 'portal', secret);
    return c.redirect('/portal', 303);
  });
  return app;
}

const tooMany = (c: PageContext, waitMs: number) => {
  c.header('Retry-After', String(Math.ceil(waitMs / 1_000)));
  return form(c, {
    status: 429,
    notice: problem('Too many wrong keys came from your address. Try again in a minute.'),
  });
};

const form = (c: PageContext, { notice, status = 200 }: { status?: 200 | 401 | 403 | 429; notice?: Notice } = {}) =>
  page(
    c,
    { title: 'Sign in', status, notice },
    <section class="card sign-in">
      <h1>Sign in</h1>
      <p class="lead">With an API key of your organisation, or by a link from your administrator.</p>
      <PostForm action="/portal/sign-in" token={c.get('formToken')} hidden={{ next: c.req.query('next') ?? '' }}>
        <Field name="key" label="API key" type="password" required autocomplete="off" hint="It begins with ocr_" />
        <button type="submit">Sign in</button>
      </PostForm>
    </section>,
  );
