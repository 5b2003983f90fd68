import { createHash } from 'node:crypto';

/** Stands for everything that has no series of its own. */
export const OTHER = 'other';

/** Longer values are cut: a name may have 256 bytes, and each is written with every one of its series. */
const MAX_VALUE = 64;
/** All names of all series together, in bytes: as much as this for each, on average. */
const BYTES_EACH = 64;
/** Models that have a series of their own beyond the bound. */
const MAX_MODELS = 100;

export interface Labels {
  tenant: string;
  end_user: string;
  model: string;
}

/**
 * One value for each tenant, user and model, as long as there are no more than `maxSets`: the first ones seen have theirs, which
 * are almost surely those who use most, and keep it until the process ends, so that no counter ever goes back. All the others
 * count as tenant `other` and user `other`, by model, and beyond 100 models as model `other`: every sum over tenants and users is whole.
 */
export class LabelSets<Value> {
  readonly #maxSets: number;
  readonly #create: (labels: Labels) => Value;
  /** By tenant, user and model: a text of all three would be made anew for each event. */
  readonly #tenants = new Map<string, Map<string, Map<string, Value>>>();
  readonly #rest = new Map<string, Value>();
  #sets = 0;
  #bytes = 0;

  constructor(maxSets: number, create: (labels: Labels) => Value) {
    this.#maxSets = maxSets;
    this.#create = create;
  }

  /** How many have a series of their own. */
  get size(): number {
    return this.#sets;
  }

  of(tenant: string, user: string, model: string): Value {
    return this.#tenants.get(tenant)?.get(user)?.get(model) ?? this.#unknown(tenant, user, model);
  }

  #unknown(tenant: string, user: string, model: string): Value {
    const labels = { tenant: shown(tenant), end_user: shown(user), model: shown(model) };
    const bytes = Buffer.byteLength(`${labels.tenant}${labels.end_user}${labels.model}`);
    if (this.#sets >= this.#maxSets || this.#bytes + bytes > this.#maxSets * BYTES_EACH)
      return this.#other(labels.model);
    this.#sets += 1;
    this.#bytes += bytes;
    const value = this.#create(labels);
    const users = entry(this.#tenants, tenant, () => new Map<string, Map<string, Value>>());
    entry(users, user, () => new Map<string, Value>()).set(model, value);
    return value;
  }

  #other(model: string): Value {
    const known = this.#rest.has(model) || this.#rest.size < MAX_MODELS ? model : OTHER;
    return entry(this.#rest, known, () => this.#create({ tenant: OTHER, end_user: OTHER, model: known }));
  }
}

/** Somebody may be called `other`. A cut name ends with a digest, so that two of them stay two. */
function shown(name: string): string {
  if (name === OTHER) return `"${OTHER}"`;
  if (Buffer.byteLength(name) <= MAX_VALUE) return name;
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 8);
  return `${[...name].slice(0, 12).join('')}…${digest}`;
}

function entry<Key, Value>(map: Map<Key, Value>, key: Key, create: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = create();
  map.set(key, made);
  return made;
}
