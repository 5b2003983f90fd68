import { createHash, timingSafeEqual } from 'node:crypto';
import type { AuthConfig } from '../../schemas/config/auth.ts';
import type { IssuedKeys } from '../keys/issued-keys.ts';
import { KEY_PREFIX } from '../keys/key-text.ts';
import type { FailedAttempts } from './failed-attempts.ts';
import { ANONYMOUS, type Identity, SERVICE, UNIDENTIFIED, type Unidentified } from './identity.ts';
import { identityOfKey } from './key-identity.ts';
import { knownToken } from './known-token.ts';
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
  issued: Pick<IssuedKeys, 'find'>;
  attempts: FailedAttempts;
  /** Where a request comes from. */
  addressOf: (shown: Shown) => string | undefined;
  /** Who a JSON Web Token says is calling; undefined if it cannot be accepted. Undefined where none can. */
  byToken: ((token: string) => Promise<Identity | undefined>) | undefined;
  /** Who a trusted proxy says is calling; undefined if none is in between. */
  byProxy: ((shown: Shown) => Identity | undefined) | undefined;
}

type Who = Identity | Unidentified;

// Node reads a header as Latin-1: these are the bytes that were sent.
const sha256 = (sent: string) => createHash('sha256').update(sent, 'latin1').digest();

const BEARER = 'Bearer ';

/** Three parts: it is signed, and nobody guesses a signature, so a wrong one is not counted as a guess. */
const JSON_WEB_TOKEN = /^[\w-]+\.[\w-]+\.[\w-]*$/;

/**
 * Who is calling, by what it shows. Unidentified: it shows what is nobody's, or nothing where something must be shown. Digests are
 * compared, in constant time, so neither length nor content of a credential can be learnt from the time it takes.
 */
export function identifier(deps: IdentifyDeps): (shown: Shown) => Who | Promise<Who> {
  const { addressOf, attempts, auth, byProxy, byToken, issued, tokens, users } = deps;
  const accepted = tokens?.map((token) => createHash('sha256').update(token).digest());
  const quick = tokens?.flatMap((token) => knownToken(token) ?? []) ?? [];
  const mustShow = auth.enabled ? auth.require_auth : accepted !== undefined;
  const isOpen = accepted === undefined && !auth.enabled;
  const unshown: Who = mustShow ? UNIDENTIFIED : isOpen ? SERVICE : ANONYMOUS;
  /** Where no bearer token could be anybody's, one that came along says nothing. */
  const unknownBearer = () => (accepted || auth.enabled || users.haveKeys ? undefined : unshown);

  const byKey = (sent: string, bytes: Buffer, digest: string): Who | undefined | Promise<Who | undefined> => {
    const user = users.byKey(digest);
    if (user) return user;
    const whoOf = (found: Awaited<ReturnType<IssuedKeys['find']>>) => found && identityOfKey(found, users);
    const found = issued.find(sent, bytes);
    return found instanceof Promise ? found.then(whoOf) : whoOf(found);
  };

  const byCredential = (sent: string, shown: Shown, isBearer: boolean): Who | Promise<Who> => {
    // Only while nobody guesses: then it is to be remembered who was right.
    if (isBearer && attempts.isQuiet && quick.some((isToken) => isToken(sent))) return SERVICE;
    const bytes = sha256(sent);
    const digest = bytes.toString('hex');
    const wait = attempts.isQuiet ? undefined : attempts.waitOf(addressOf(shown), digest);
    if (wait !== undefined) return { type: 'unidentified', why: 'too_many_failures', retryAfter: wait };
    const judged = (who: Who | undefined): Who => {
      if (who === undefined) attempts.failed(addressOf(shown));
      else attempts.succeeded(digest);
      return who ?? UNIDENTIFIED;
    };
    if (isBearer && accepted?.some((one) => timingSafeEqual(one, bytes))) return judged(SERVICE);
    const who = byKey(sent, bytes, digest);
    if (who instanceof Promise) return who.then(judged);
    if (who || !isBearer || sent.startsWith(KEY_PREFIX)) return judged(who);
    if (byToken && JSON_WEB_TOKEN.test(sent)) return byToken(sent).then((user) => user ?? UNIDENTIFIED);
    return unknownBearer() ?? judged(undefined);
  };

  return (shown) => {
    const { apiKey, authorization } = shown;
    if (apiKey !== undefined) return byCredential(apiKey, shown, false);
    if (authorization === undefined) return byProxy?.(shown) ?? unshown;
    const token = authorization.startsWith(BEARER) ? authorization.slice(BEARER.length) : '';
    if (token === '') return accepted || auth.enabled ? UNIDENTIFIED : unshown;
    return byCredential(token, shown, true);
  };
}
