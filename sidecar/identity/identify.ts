import { createHash, timingSafeEqual } from 'node:crypto';
import type { AuthConfig } from '../../schemas/config/auth.ts';
import { ANONYMOUS, type Identity, SERVICE } from './identity.ts';
import type { KnownUsers } from './known-users.ts';

/** What a request shows of who is calling. */
export interface Shown {
  /** The header `Authorization`. */
  authorization: string | undefined;
  /** The header `X-API-Key`. */
  apiKey: string | undefined;
  /** Every value of a header, in the order in which they came: Node joins or drops those of a header that comes twice. */
  values(name: string): string[];
  /** The address at the other end of the connection. */
  address: string | undefined;
}

export interface IdentifyDeps {
  /** OPA_TOKEN: none, and nobody need show anything unless `auth` says so. */
  tokens: readonly string[] | undefined;
  auth: AuthConfig;
  users: KnownUsers;
  /** Who a JSON Web Token says is calling; undefined if it cannot be accepted. Undefined where none can. */
  byToken: ((token: string) => Promise<Identity | undefined>) | undefined;
  /** Who a trusted proxy says is calling; undefined if none is in between. */
  byProxy: ((shown: Shown) => Identity | undefined) | undefined;
}

const digest = (token: string) => createHash('sha256').update(token).digest();

const BEARER = /^Bearer (.+)$/;

/** Who is calling, by what it shows. Undefined: it shows what is nobody's, or nothing where something must be shown. */
export function identifier(deps: IdentifyDeps): (shown: Shown) => Identity | undefined | Promise<Identity | undefined> {
  const { auth, byProxy, byToken, tokens, users } = deps;
  const accepted = tokens?.map(digest);
  const isService = (token: string): boolean => {
    // Digests are compared, in constant time, so neither length nor content of a token can be learnt from the time it takes.
    const given = digest(token);
    return accepted?.some((one) => timingSafeEqual(one, given)) ?? false;
  };
  const mustShow = auth.enabled ? auth.require_auth : accepted !== undefined;
  const isOpen = accepted === undefined && !auth.enabled;
  const unshown = mustShow ? undefined : isOpen ? SERVICE : ANONYMOUS;

  return (shown) => {
    const { apiKey, authorization } = shown;
    if (apiKey !== undefined) return users.byKey(apiKey);
    if (authorization !== undefined) {
      const token = BEARER.exec(authorization)?.[1];
      if (token === undefined) return accepted || auth.enabled ? undefined : unshown;
      if (isService(token)) return SERVICE;
      const known = users.byKey(token);
      if (known || !byToken) return known ?? (accepted || auth.enabled || users.haveKeys ? undefined : unshown);
      return byToken(token);
    }
    return byProxy?.(shown) ?? unshown;
  };
}
