import { Hono } from 'hono';
import { sourceIp } from '../../routes/source-ip.ts';
import type { PagesDeps } from '../deps.ts';
import { page, problem } from '../respond.tsx';
import { setSecret } from '../session/cookies.ts';
import { nextPage, type PageContext, type PageEnv } from '../session/guard.ts';
import { isSame } from '../session/sign-in-attempts.ts';
import { Field, PostForm } from '../view/forms.tsx';
import type { Notice } from '../view/layout.tsx';

/** `/admin/sign-in`: with the admin token. */
export function adminSignIn({ adminToken, attempts, log, sessions }: PagesDeps): Hono<PageEnv> {
  const app = new Hono<PageEnv>();
  app.get('/admin/sign-in', (c) => form(c, { isOpen: adminToken !== undefined }));
  app.post('/admin/sign-in', async (c) => {
    const body = await c.req.parseBody();
    const given = String(body.token ?? '').trim();
    if (adminToken === undefined) return form(c, { isOpen: false });
    const attempt = await attempts.try(sourceIp(c), given, async () => isSame(given, adminToken) || undefined);
    if ('waitMs' in attempt) {
      c.header('Retry-After', String(Math.ceil(attempt.waitMs / 1_000)));
      return form(c, {
        isOpen: true,
        status: 429,
        notice: problem('Too many wrong tokens came from your address. Try again in a minute.'),
      });
    }
    if ('wrong' in attempt) {
      log.warn({ address: sourceIp(c) }, 'a wrong admin token was given at /admin/sign-in');
      return form(c, { isOpen: true, status: 401, notice: problem('That is not the admin token.') });
    }
    const { secret } = await sessions.openAdmin();
    setSecret(c, 'admin', secret);
    return c.redirect(nextPage('admin', String(body.next ?? '')), 303);
  });
  return app;
}

interface Said {
  isOpen: boolean;
  status?: 200 | 401 | 429;
  notice?: Notice;
}

const form = (c: PageContext, { isOpen, notice, status = 200 }: Said) =>
  page(
    c,
    { title: 'Sign in', status, notice },
    <section class="card sign-in">
      <h1>Sign in</h1>
      {isOpen ? (
        <>
          <p class="lead">
            With the admin token: ADMIN_TOKEN, or the file admin-token in DATA_DIR where npm start has made one.
          </p>
          <PostForm action="/admin/sign-in" token={c.get('formToken')} hidden={{ next: c.req.query('next') ?? '' }}>
            <Field name="token" label="Admin token" type="password" required autocomplete="current-password" />
            <button type="submit">Sign in</button>
          </PostForm>
        </>
      ) : (
        <p>This is closed: set ADMIN_TOKEN to a long random string, and restart.</p>
      )}
    </section>,
  );
