import { createHash, timingSafeEqual } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { wireError } from '../schemas/errors.ts';

const UNSET = wireError(
  'unauthorized',
  'this is closed: set ADMIN_TOKEN to a long random string, restart, and send it as "Authorization: Bearer <token>"',
);
const REFUSED = wireError('unauthorized', 'this needs the admin token, sent as "Authorization: Bearer <token>"');

const digest = (token: string) => createHash('sha256').update(token).digest();

/**
 * Lets through who bears the admin token; where none is set, nobody. Digests are compared, in constant time, so
 * neither length nor content of the token can be learnt from the time it takes.
 */
export function requireAdminToken(token: string | undefined): MiddlewareHandler {
  const expected = token === undefined ? undefined : digest(token);
  return async function adminToken(c, next) {
    if (!expected) return c.json(UNSET, 403);
    const [, given] = /^Bearer (.+)$/i.exec(c.req.header('Authorization') ?? '') ?? [];
    if (given === undefined || !timingSafeEqual(digest(given), expected)) {
      return c.json(REFUSED, 401, { 'WWW-Authenticate': 'Bearer' });
    }
    return next();
  };
}
