import { createHash, timingSafeEqual } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { Refusal } from '../routes/refusal.ts';

const digest = (token: string) => createHash('sha256').update(token).digest();

/**
 * Lets through who bears one of the service's tokens; with no tokens configured, everyone. Digests are compared, in
 * constant time, so neither length nor content of a token can be learnt from the time it takes.
 */
export function requireServiceToken(tokens: string[] | undefined): MiddlewareHandler {
  const accepted = tokens?.map(digest);
  return async function serviceToken(c, next) {
    if (!accepted) return next();
    const [, token] = /^Bearer (.+)$/.exec(c.req.header('Authorization') ?? '') ?? [];
    if (token !== undefined) {
      const given = digest(token);
      if (accepted.some((one) => timingSafeEqual(one, given))) return next();
    }
    // As OPA answers whatever its authorization refuses.
    throw new Refusal(401, 'unauthorized', 'request rejected by administrative policy');
  };
}
