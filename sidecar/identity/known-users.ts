import type { User, UsersConfig } from '../../schemas/config/users.ts';
import type { Identity, Who } from './identity.ts';

/** So much of a key's digest names it in usage events: enough to tell one from another, and no help in guessing it. */
const CREDENTIAL_ID_DIGITS = 8;

/** The users of `config/users.yaml`, by everything that tells who they are. */
export class KnownUsers {
  readonly #byId: ReadonlyMap<string, User>;
  readonly #byKey: ReadonlyMap<string, User>;
  readonly #byEmail: ReadonlyMap<string, User>;
  readonly #bySender: ReadonlyMap<string, User>;

  constructor({ user_identification, users }: UsersConfig) {
    const withKeys = user_identification.method === 'api_key' ? users : [];
    this.#byId = new Map(users.map((user) => [user.id, user]));
    this.#byKey = new Map(withKeys.flatMap((user) => user.key_digests.map((digest) => [digest, user])));
    this.#byEmail = new Map(users.flatMap((user) => (user.email ? [[user.email.toLowerCase(), user]] : [])));
    this.#bySender = new Map(users.flatMap((user) => user.channels.map((channel) => [channel, user])));
  }

  /** Whether a key could be anybody's. */
  get haveKeys(): boolean {
    return this.#byKey.size > 0;
  }

  byId(id: string): User | undefined {
    // A map makes every text that is looked up one of its own first, which took 1 % of a decision where there are no users.
    return this.#byId.size === 0 ? undefined : this.#byId.get(id);
  }

  /** By the SHA-256 of a key in hexadecimal digits, so neither the key nor its length can be learnt from the time it takes. */
  byKey(digest: string): Identity | undefined {
    const user = this.#byKey.get(digest);
    return user && identityOf(user, `key:${digest.slice(0, CREDENTIAL_ID_DIGITS)}`);
  }

  byEmail(email: string): User | undefined {
    return this.#byEmail.get(email.toLowerCase());
  }

  /** `slack` and `U123`. */
  bySender(channel: string, sender: string): User | undefined {
    return this.#bySender.get(`${channel}:${sender}`);
  }
}

/** What the file says of a user, in the names of a request's input. */
export function whoIs({ department, id, role, team, tenant }: User): Who {
  return {
    user_id: id,
    ...(tenant !== undefined && { tenant_id: tenant }),
    ...(team !== undefined && { team_id: team }),
    ...(department !== undefined && { department_id: department }),
    ...(role !== undefined && { role }),
  };
}

export const identityOf = (user: User, credentialId: string): Identity => ({
  type: 'user',
  credentialId,
  bound: whoIs(user),
  ...(user.projects.length > 0 && { projects: user.projects }),
});
