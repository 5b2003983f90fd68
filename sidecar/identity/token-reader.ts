import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import type { AuthConfig } from '../../schemas/config/auth.ts';
import type { Identity } from './identity.ts';
import { identityOfToken } from './json-web-token.ts';
import { KeySet } from './key-set.ts';
import { keySource } from './key-source.ts';
import type { KnownUsers } from './known-users.ts';

export interface TokenReaderOptions {
  auth: AuthConfig;
  users: KnownUsers;
  /** Where `jwks_file` lies, or `jwks.json`. */
  configDir: string;
  clock: Clock;
  log: Log;
}

export interface TokenReader {
  /** Who a JSON Web Token says is calling; undefined if it cannot be accepted. Itself undefined where none can. */
  readonly byToken: ((token: string) => Promise<Identity | undefined>) | undefined;
  /** For files that have changed. Keys are kept if they come from where they came from, and read again. */
  reload(changed: Pick<TokenReaderOptions, 'auth' | 'users'>): Promise<void>;
  close(): Promise<void>;
}

/** Resolves also while there are no keys: tokens are refused until there are. */
export async function tokenReader({ clock, configDir, log, ...first }: TokenReaderOptions): Promise<TokenReader> {
  let rules = first;
  let keys: KeySet | undefined;

  const open = async (auth: AuthConfig): Promise<KeySet | undefined> => {
    if (!takesTokens(auth)) return undefined;
    if (!auth.audience) log.warn('auth.yaml names no audience: a token made for another service is accepted too');
    const opened = new KeySet({ source: keySource(auth, configDir), clock, log });
    await opened.refresh();
    return opened;
  };
  const byToken = async (token: string): Promise<Identity | undefined> => {
    if (!keys) return undefined;
    const refused = (why: string) => log.debug({ why }, 'a JSON Web Token is refused');
    return identityOfToken(token, { ...rules, clock, findKey: keys.find, refused });
  };

  keys = await open(first.auth);
  return {
    get byToken() {
      return keys && byToken;
    },
    async reload(changed) {
      const isSame = placeOfKeys(changed.auth) === placeOfKeys(rules.auth);
      const before = keys;
      const next = isSame ? keys : await open(changed.auth);
      keys = next;
      rules = changed;
      await (isSame ? next?.refresh() : before?.close());
    },
    async close() {
      await keys?.close();
    },
  };
}

const takesTokens = ({ enabled, method }: AuthConfig) => enabled && method !== 'api_key';

/** All that decides where keys come from, and how long they last. */
function placeOfKeys(auth: AuthConfig): string {
  const { issuer, jwks_file, jwks_max_age_minutes, jwks_url, method } = auth;
  if (!takesTokens(auth)) return '';
  return JSON.stringify([method, jwks_file, jwks_url, method === 'oauth' ? issuer : '', jwks_max_age_minutes]);
}
