import type { Child } from 'hono/jsx';
import type { PageContext } from './session/guard.ts';
import type { Notice } from './view/layout.tsx';
import { type Frame, Layout } from './view/layout.tsx';

/** What a page may do: load our stylesheet, script and icon, talk to this server, send forms to it. Nothing inline. */
const CONTENT_POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "script-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Of every page: it is for one person, and nobody keeps it. */
export const PAGE_HEADERS = {
  'Content-Security-Policy': CONTENT_POLICY,
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cache-Control': 'private, no-store',
};

export type PageOptions = Pick<Frame, 'title' | 'current' | 'live' | 'notice'> & {
  status?: 200 | 400 | 401 | 403 | 404 | 409 | 429 | 500 | 502 | 503;
};

/** Answers with a page. What was just done is told where the address says it: `?done=granted`. */
export async function page(c: PageContext, options: PageOptions, content: Child): Promise<Response> {
  const { notice = noticeOf(c), status = 200, ...rest } = options;
  const session = c.get('session');
  const who = session && (session.tenantId ?? 'Admin');
  const frame = { ...rest, notice, who, area: c.get('area'), formToken: c.get('formToken') };
  const text = await (<Layout {...frame}>{content}</Layout>).toString();
  return c.html(`<!doctype html>\n${text}`, status, PAGE_HEADERS);
}

const DONE: Record<string, string> = {
  granted: 'The tokens are granted.',
  'taken-back': 'The grant is taken back.',
  revoked: 'The key is revoked. It is refused from now on.',
  closed: 'The cycle is closed, and its invoice is issued.',
  'nothing-to-bill': 'The cycle is closed: there was nothing to bill.',
  'already-closed': 'The cycle had its invoice before; nothing was changed.',
  paid: 'The invoice is marked as paid.',
  void: 'The invoice is void.',
  replayed: 'The dead letters were read again: what is still listed cannot be read.',
  'signed-out': 'You have signed out.',
};

function noticeOf(c: PageContext): Notice | undefined {
  const done = c.req.query('done');
  const text = done !== undefined && Object.hasOwn(DONE, done) ? DONE[done] : undefined;
  return text === undefined ? undefined : { kind: 'done', text };
}

export const problem = (text: string): Notice => ({ kind: 'problem', text });

/** There is no such page, or it is somebody else's: both look the same. */
export const notFound = (c: PageContext): Promise<Response> =>
  page(
    c,
    { title: 'Not found', status: 404 },
    <section class="card confirm">
      <h1>There is no such page</h1>
      <p>It was never here, or it is not yours to see.</p>
      <p>
        <a href={`/${c.get('area')}`}>To the first page</a>
      </p>
    </section>,
  );

/** Of a form without its token. */
export const formRefused = (c: PageContext): Promise<Response> =>
  page(
    c,
    { title: 'Form refused', status: 403 },
    <section class="card confirm">
      <h1>This form was refused</h1>
      <p>
        It is too old, you have signed out meanwhile, or it came from another site. Nothing was done. Over plain HTTP
        nobody can sign in but on this machine: the browser keeps the cookie over HTTPS only.
      </p>
      <p>
        <a href={`/${c.get('area')}`}>Go on</a>
      </p>
    </section>,
  );
