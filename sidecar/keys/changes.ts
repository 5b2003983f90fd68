import { v7 as uuidv7 } from 'uuid';
import type { Clock } from '../../runtime/clock.ts';
import type { ApiKey } from '../../schemas/api-key.ts';
import type { AuditAction } from '../../schemas/audit-event.ts';
import type { ApiKeyChange, ApiKeyStore } from '../counters/api-keys.ts';
import type { CounterStore } from '../counters/contract.ts';
import type { IssuedKeys } from './issued-keys.ts';
import { type Holder, type Issued, issue, KeyConflict, revoke, rotate } from './lifecycle.ts';

export interface KeyChangesDeps {
  store: Pick<ApiKeyStore, 'apiKey' | 'changeApiKeys'> & Pick<CounterStore, 'partitionOf'>;
  issued: Pick<IssuedKeys, 'forget'>;
  clock: Clock;
}

/** Who wants a change, from where and why. */
export interface By {
  actor: string;
  address: string | undefined;
  reason?: string | undefined;
}

/** So often a change is tried anew after somebody else's came first. */
const TRIES = 5;

/** There is no room for more keys. */
export class KeysFull extends Error {
  override readonly name = 'KeysFull';
}

/**
 * Issues, rotates and revokes keys: each change is in the store with its audit event, or not at all. Throws `KeyConflict`,
 * `KeysFull` or `CountersUnavailable`.
 */
export class KeyChanges {
  readonly #deps: KeyChangesDeps;

  constructor(deps: KeyChangesDeps) {
    this.#deps = deps;
  }

  async issue(holder: Holder & { name?: string | undefined; expiresAt?: number | undefined }, by: By): Promise<Issued> {
    const { clock, store } = this.#deps;
    const partition = store.partitionOf(holder.tenantId);
    const issued = issue({ ...holder, partition, by: by.actor }, clock.now());
    await this.#change('key.issued', issued.key, { keys: [issued.key], closeGates: [] }, by);
    return issued;
  }

  /** Undefined: there is no such key. */
  rotate(id: string, { expiresAt, graceMs }: { expiresAt: number | undefined; graceMs: number }, by: By) {
    return this.#changing(id, async (of) => {
      const { clock, store } = this.#deps;
      const predecessor = of.rotated_from === undefined ? undefined : await store.apiKey(of.rotated_from);
      const next = rotate({ of, predecessor }, { by: by.actor, expiresAt, graceMs }, clock.now());
      const isChanged = await this.#change('key.rotated', of, next, by);
      return isChanged ? { issued: next as Issued, old: next.keys[0] as ApiKey } : undefined;
    });
  }

  /** Undefined: there is no such key. One that is revoked already is answered as it is. */
  revoke(id: string, by: By): Promise<ApiKey | undefined> {
    return this.#changing(id, async (key) => {
      const change = revoke(key, this.#deps.clock.now());
      if (!change) return key;
      return (await this.#change('key.revoked', key, change, by)) ? change.keys[0] : undefined;
    });
  }

  /** `work` resolves with undefined if somebody else's change came first. */
  async #changing<Done>(id: string, work: (key: ApiKey) => Promise<Done | undefined>): Promise<Done | undefined> {
    for (let tries = 0; tries < TRIES; tries++) {
      const key = await this.#deps.store.apiKey(id);
      if (!key) return undefined;
      const done = await work(key);
      if (done) return done;
    }
    throw new KeyConflict('others change it all the time: try again');
  }

  async #change(
    action: AuditAction,
    { id, tenant_id: tenantId }: ApiKey,
    { closeGates, keys }: Pick<ApiKeyChange, 'keys' | 'closeGates'>,
    { actor, address, reason }: By,
  ): Promise<boolean> {
    const { clock, issued, store } = this.#deps;
    const changed = await store.changeApiKeys({
      tenantId,
      keys,
      closeGates,
      audit: {
        id: uuidv7({ msecs: clock.now() }),
        action,
        actor,
        target: id,
        ...(address !== undefined && { source_ip: address }),
        ...(reason !== undefined && { reason }),
      },
    });
    for (const key of keys) issued.forget(key.id);
    if (changed === 'full')
      throw new KeysFull('there may be no more keys: revoke some, they are forgotten a day later');
    return changed === 'changed';
  }
}
