import type { Context } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import { isLoopback } from '../../../runtime/config/environment.ts';

/** `form`: of who has not signed in yet, so that the form to do so has a token of its own. */
export type CookieName = 'admin' | 'portal' | 'form';

/** Plain HTTP is for this machine only: anywhere else the browser does not keep the cookie, and nobody signs in. */
const isPlain = (c: Context): boolean => {
  const { hostname } = new URL(c.req.url);
  return isLoopback(hostname.replace(/^\[|\]$/g, '')) && c.req.header('X-Forwarded-Proto') !== 'https';
};

const nameOf = (c: Context, name: CookieName) => `${isPlain(c) ? '' : '__Host-'}openclaw_${name}`;

/** No script reads it, no other site makes the browser send it. Ends with the browser, or at `expiresAt` on the server. */
export function setSecret(c: Context, name: CookieName, secret: string): void {
  setCookie(c, nameOf(c, name), secret, { path: '/', httpOnly: true, sameSite: 'Strict', secure: !isPlain(c) });
}

export const getSecret = (c: Context, name: CookieName): string | undefined =>
  getCookie(c, nameOf(c, name)) || undefined;

export function forgetSecret(c: Context, name: CookieName): void {
  deleteCookie(c, nameOf(c, name), { path: '/', secure: !isPlain(c) });
}
