import type { Context, MiddlewareHandler } from 'hono';
import { handlerOf } from './handler-of.ts';

/** What all of OPA's routes have in common: there is no HEAD, and no path ends with a slash. */
export const commonToAllPaths: MiddlewareHandler = async (c, next) => {
  // Hono would answer as to a GET, without the body.
  const { method, path } = c.req;
  const isHead = method === 'HEAD';
  const hasSlash = path.length > 1 && path.endsWith('/');
  if (!(isHead || hasSlash) || handlerOf(path) === undefined) return next();
  return isHead ? c.body(null, 405, { Allow: 'GET, POST' }) : withoutSlash(c);
};

/** The path as it was sent, percent-encoded. */
export const rawPath = (c: Context): string => /^[^:]+:\/\/[^/]*([^?#]*)/.exec(c.req.url)?.[1] ?? '';

/** Begins with one slash, or it would name another host. */
function withoutSlash(c: Context): Response {
  const location = `/${rawPath(c).split('/').filter(Boolean).join('/')}`;
  const shown = location.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
  return c.body(`<a href="${shown}">Moved Permanently</a>.\n\n`, 301, {
    'Content-Type': 'text/html; charset=utf-8',
    Location: location,
    Vary: 'Accept-Encoding',
  });
}
