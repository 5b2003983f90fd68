import type { Clock } from '../../runtime/clock.ts';
import type { Config } from '../../runtime/config/files.ts';
import type { Log } from '../../runtime/log.ts';
import { Refusal } from '../routes/refusal.ts';
import { bind } from './bind.ts';
import { identifier, type Shown } from './identify.ts';
import type { Identity } from './identity.ts';
import { KnownUsers } from './known-users.ts';
import { type TokenReader, tokenReader } from './token-reader.ts';
import { trustedProxy } from './trusted-proxy.ts';

export interface IdentitiesOptions {
  /** OPA_TOKEN. */
  tokens: readonly string[] | undefined;
  /** CONFIG_DIR, where a file of keys lies. */
  configDir: string;
  clock: Clock;
  log: Log;
}

interface InUse {
  users: KnownUsers;
  identify: ReturnType<typeof identifier>;
  isAuthenticating: boolean;
}

/** Who is calling, by the configuration in use. */
export class Identities {
  readonly #options: IdentitiesOptions;
  readonly #reader: TokenReader;
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
    this.#inUse = this.#by(first);
  }

  async use(config: Config): Promise<void> {
    const { auth, users } = config;
    warnOfFreeUsers(config, this.#options.log);
    const known = new KnownUsers(users);
    await this.#reader.reload({ auth, users: known });
    this.#inUse = this.#by({ auth, users: known });
  }

  /** Undefined: it shows what is nobody's, or nothing where something must be shown. */
  identify(shown: Shown): Identity | undefined | Promise<Identity | undefined> {
    return this.#inUse.identify(shown);
  }

  /** The input, with what is known of its caller. Throws a `Refusal` for who claims to be somebody else. */
  bind(input: Record<string, unknown>, identity: Identity): Record<string, unknown> {
    return bind(input, identity, this.#inUse.users);
  }

  /** The same for whatever is wrong: nobody learns from it what would be right. In OPA's words, where nobody asked for ours. */
  refusal(): Refusal {
    const errors = this.#inUse.isAuthenticating ? [{ code: 'unidentified', message: UNIDENTIFIED }] : undefined;
    return new Refusal(401, 'unauthorized', 'request rejected by administrative policy', errors);
  }

  close(): Promise<void> {
    return this.#reader.close();
  }

  #by({ auth, users }: Rules): InUse {
    const { clock, log, tokens } = this.#options;
    const byProxy = trustedProxy({ auth, users, clock, log });
    return {
      users,
      identify: identifier({ tokens, auth, users, byToken: this.#reader.byToken, byProxy }),
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

const UNIDENTIFIED = 'show who you are: with a key in X-API-Key, or a token in Authorization: Bearer';
