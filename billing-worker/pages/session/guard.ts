import { timingSafeEqual } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { forgetSecret, getSecret, setSecret } from './cookies.ts';
import { digestOf, newSecret, type Session, type Sessions } from './sessions.ts';

export type Area = 'admin' | 'portal';

export interface PageEnv {
  Variables: {
    area: Area;
    /** Undefined: nobody has signed in. */
    session: Session | undefined;
    /** In every form of the page; made from the cookie, which another site cannot read. */
    formToken: string;
  };
}

export type PageContext = Context<PageEnv>;

/** The field of every form that holds its token. */
export const FORM_FIELD = 'form_token';

const formTokenOf = (secret: string) => digestOf(`form of ${secret}`);

/** Finds out who has signed in to this area. A form that does not come from one of our own pages goes no further. */
export function identify(
  area: Area,
  sessions: Sessions,
  refuse: (c: PageContext) => Promise<Response>,
): MiddlewareHandler<PageEnv> {
  return async function identified(c, next) {
    const secret = getSecret(c, area);
    const session = secret === undefined ? undefined : await sessions.find(secret);
    const isOwn = session !== undefined && (session.tenantId === null) === (area === 'admin');
    if (secret !== undefined && !isOwn) forgetSecret(c, area);
    c.set('area', area);
    c.set('session', isOwn ? session : undefined);
    const basis = isOwn && secret !== undefined ? secret : visitorSecret(c);
    c.set('formToken', formTokenOf(basis));
    if (c.req.method !== 'GET' && c.req.method !== 'HEAD' && !(await hasToken(c))) return refuse(c);
    return next();
  };
}

/** Of who has not signed in. A request that changes something and has none gets one that fits no form. */
function visitorSecret(c: PageContext): string {
  const known = getSecret(c, 'form');
  if (known !== undefined) return known;
  const secret = newSecret();
  setSecret(c, 'form', secret);
  return secret;
}

async function hasToken(c: PageContext): Promise<boolean> {
  const given = (await c.req.parseBody().catch(() => ({}) as Record<string, unknown>))[FORM_FIELD];
  if (typeof given !== 'string') return false;
  const [a, b] = [given, c.get('formToken')].map((text) => Buffer.from(digestOf(text)));
  return a !== undefined && b !== undefined && timingSafeEqual(a, b);
}

/** Lets through who has signed in; others are sent to do so. */
export const signedIn: MiddlewareHandler<PageEnv> = async (c, next) => {
  if (c.get('session')) return next();
  const { pathname, search } = new URL(c.req.url);
  const back = c.req.method === 'GET' ? `?${new URLSearchParams({ next: pathname + search })}` : '';
  return c.redirect(`/${c.get('area')}/sign-in${back}`, 303);
};

/** Where to go after signing in: a page of the area, and of no other site. */
export function nextPage(area: Area, wanted: string | undefined): string {
  const isOurs = wanted !== undefined && new RegExp(`^/${area}([?/](?![/\\\\])[!-~]*)?$`).test(wanted);
  return isOurs ? wanted : `/${area}`;
}

/** Of the tenant whose portal it is. */
export function tenantOf(c: PageContext): string {
  const tenantId = c.get('session')?.tenantId;
  if (tenantId === undefined || tenantId === null) throw new Error('a page of the portal without a tenant');
  return tenantId;
}
