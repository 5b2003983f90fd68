import type { Clock } from '../../runtime/clock.ts';
import type { Config } from '../../runtime/config/files.ts';
import type { Log } from '../../runtime/log.ts';
import type { IssuedKeys } from '../keys/issued-keys.ts';
import type { Phase } from '../metrics/phases.ts';
import { Refusal } from '../routes/refusal.ts';
import { bind } from './bind.ts';
import { clientAddress } from './client-address.ts';
import { FailedAttempts } from './failed-attempts.ts';
import { identifier, type Shown } from './identify.ts';
import type { Identity, Unidentified } from './identity.ts';
import { KnownUsers } from './known-users.ts';
import { type TokenReader, tokenReader } from './token-reader.ts';
import { trustedProxy } from './trusted-proxy.ts';

export interface IdentitiesOptions {
  /** OPA_TOKEN. */
  tokens: readonly string[] | undefined;
  /** CONFIG_DIR, where a file of keys lies. */
  configDir: string;
  issued: Pick<IssuedKeys, 'find'>;
  /** Told of everyone who is not let in. */
  onRefused: (refused: RefusedCaller) => void;
  /** Undefined: nobody wants to know how long it takes. */
  phase?: Phase | undefined;
  clock: Clock;
  log: Log;
}

/** Somebody who was not let in, as far as it is known who that is. */
export interface RefusedCaller extends Omit<Unidentified, 'type'> {
  address: string | undefined;
}

interface InUse {
  users: KnownUsers;
  identify: ReturnType<typeof identifier>;
  addressOf: (shown: Shown) => string | undefined;
  isAuthenticating: boolean;
}

/** Who is calling, by the configuration in use. */
export class Identities {
  readonly #options: IdentitiesOptions;
  readonly #reader: TokenReader;
  readonly #attempts: FailedAttempts;
  #inUse: InUse;

  /** Waits some seconds for a server that has the keys of tokens, and goes on without. */
  static async open(options: IdentitiesOptions, config: Config): Promise<Identities> {
    const { auth, users } = config;
    warnOfFreeUsers(config, options.log);
    const known = new KnownUsers(users);
    const reader = await tokenReader({ ...options, auth, users: known });
    return new Identities(options, reader, { auth, users: known });
  }

  private constructor(options: IdentitiesOptions, reader: TokenReader, first: Rules) {
    this.#options = options;
    this.#reader = reader;
    this.#attempts = new FailedAttempts(options.clock);
    this.#inUse = this.#by(first);
  }

  async use(config: Config): Promise<void> {
    const { auth, users } = config;
    warnOfFreeUsers(config, this.#options.log);
    const known = new KnownUsers(users);
    await this.#reader.reload({ auth, users: known });
    this.#attempts.forget();
    this.#inUse = this.#by({ auth, users: known });
  }

  /** Who shows this, and from where. Throws `CountersUnavailable` for a key that only the store knows while it is away. */
  identify(shown: Shown): Identity | Unidentified | Promise<Identity | Unidentified> {
    const { phase } = this.#options;
    if (!phase) return this.#inUse.identify(shown);
    const begun = phase.begin();
    const who = this.#inUse.identify(shown);
    if (who instanceof Promise) return who.finally(() => phase.end(begun));
    phase.end(begun);
    return who;
  }

  /** Where a request comes from: behind trusted proxies, what they say. */
  addressOf(shown: Shown): string | undefined {
    return this.#inUse.addressOf(shown);
  }

  /** The input, with what is known of its caller. Throws a `Refusal` for who claims to be somebody else. */
  bind(input: Record<string, unknown>, identity: Identity): Record<string, unknown> {
    return bind(input, identity, this.#inUse.users);
  }

  /**
   * The same for whatever is wrong: nobody learns from it what would be right. Only who has the whole of a key is told that it has
   * ended. In OPA's words, where nobody asked for ours.
   */
  refusal({ type: _, ...who }: Unidentified, shown: Shown): Refusal {
    this.#options.onRefused({ ...who, address: this.addressOf(shown) });
    const { retryAfter, why } = who;
    if (why === 'too_many_failures') {
      const errors = [{ code: why, message: TOO_MANY }];
      return new Refusal(429, 'unauthorized', TOO_MANY, errors, retryAfterHeader(retryAfter ?? 0));
    }
    const isSaid = this.#inUse.isAuthenticating || why !== 'unidentified';
    const errors = isSaid ? [{ code: why, message: MESSAGES[why] }] : undefined;
    return new Refusal(401, 'unauthorized', 'request rejected by administrative policy', errors);
  }

  close(): Promise<void> {
    return this.#reader.close();
  }

  #by({ auth, users }: Rules): InUse {
    const { clock, issued, log, tokens } = this.#options;
    const addressOf = clientAddress(auth);
    const byProxy = trustedProxy({ auth, users, clock, log });
    return {
      users,
      identify: identifier({
        tokens,
        auth,
        users,
        issued,
        attempts: this.#attempts,
        addressOf,
        byToken: this.#reader.byToken,
        byProxy,
      }),
      addressOf,
      isAuthenticating: auth.enabled,
    };
  }
}

/** Budgets are counted within a tenant: who may name any has as many as there are. */
function warnOfFreeUsers({ tenants, users }: Config, log: Log): void {
  const free = users.users.filter(({ key_digests, tenant }) => tenant === undefined && key_digests.length > 0);
  const isOnlyOne = tenants.unknown_tenants === 'deny' && Object.keys(tenants.tenants).length === 1;
  if (free.length === 0 || isOnlyOne) return;
  const mend = 'set tenant for each user, or user_identification: { tenant: … } for all';
  log.warn(
    { users: free.length },
    `users.yaml has users with a key and no tenant, who may speak for any tenant; ${mend}`,
  );
}

interface Rules {
  auth: Config['auth'];
  users: KnownUsers;
}

const MESSAGES = {
  unidentified: 'show who you are: with a key in X-API-Key, or a token in Authorization: Bearer',
  revoked_key: 'this key has been revoked',
  expired_key: 'this key has expired',
};

const TOO_MANY = 'too many keys from this address were nobody’s; try again later';

const retryAfterHeader = (milliseconds: number) => ({ 'Retry-After': String(Math.ceil(milliseconds / 1_000)) });
