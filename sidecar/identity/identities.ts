import type { Config } from '../../runtime/config/files.ts';
import { Refusal } from '../routes/refusal.ts';
import { bind } from './bind.ts';
import { identifier, type Shown } from './identify.ts';
import type { Identity } from './identity.ts';
import { KnownUsers } from './known-users.ts';

export interface IdentitiesOptions {
  /** OPA_TOKEN. */
  tokens: readonly string[] | undefined;
}

interface InUse {
  users: KnownUsers;
  identify: ReturnType<typeof identifier>;
  isAuthenticating: boolean;
}

/** Who is calling, by the configuration in use. */
export class Identities {
  readonly #options: IdentitiesOptions;
  #inUse: InUse;

  constructor(options: IdentitiesOptions, config: Config) {
    this.#options = options;
    this.#inUse = this.#by(config);
  }

  use(config: Config): void {
    this.#inUse = this.#by(config);
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

  #by({ auth, users: known }: Config): InUse {
    const users = new KnownUsers(known);
    const { tokens } = this.#options;
    return {
      users,
      identify: identifier({ tokens, auth, users, byToken: undefined, byProxy: undefined }),
      isAuthenticating: auth.enabled,
    };
  }
}

const UNIDENTIFIED = 'show who you are: with a key in X-API-Key, or a token in Authorization: Bearer';
