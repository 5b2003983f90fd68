import type { ApiKey } from '../../schemas/api-key.ts';
import type { AuditEvent } from '../../schemas/audit-event.ts';

/** So many keys are kept in a partition at most: 400 bytes each. */
export const MAX_API_KEYS = 100_000;

/** For so long a key that is revoked or expired is kept where there is no room for new ones. */
export const API_KEY_MEMORY_MS = 24 * 60 * 60 * 1000;

/** An audit event before the store adds when it is. */
export type AuditEntry = Omit<AuditEvent, 'v' | 'type' | 'at'>;

/** Keys of one tenant in their new states. */
export interface ApiKeyChange {
  tenantId: string;
  /** Each with a `revision` one above the one that is kept; 1 of a key that is not kept yet. */
  keys: ApiKey[];
  /** Gates of the tenant that are closed for good. */
  closeGates: string[];
  /** The entry without `api_keys`: these are the keys of the change. */
  audit: Omit<AuditEntry, 'api_keys' | 'tenant_id'>;
}

/**
 * `stale`: some key is not at the revision below: somebody else has changed it, and nothing was done. `full`: there are
 * as many keys as there may be, and nothing was done.
 */
export type ApiKeyChanged = 'changed' | 'stale' | 'full';

/** Keys of one tenant, or of all, by id from `after` on: so many, and at most 1,000. */
export interface ApiKeyPageRequest {
  tenantId?: string | undefined;
  after?: string | undefined;
  limit: number;
}

/** `next` is the `after` of the next page; undefined: this is the last one. */
export interface ApiKeys {
  keys: ApiKey[];
  next: string | undefined;
}

/** Keys of the ledger, all of one partition. `complete`: these were the last ones of it. */
export interface ApiKeyPublication {
  partition: number;
  keys: ApiKey[];
  complete: boolean;
}

/** API keys, as the store keeps them. They are found by their id, which says the partition. */
export interface ApiKeyStore {
  /** Undefined: there is none. */
  apiKey(id: string): Promise<ApiKey | undefined>;
  /** All or nothing, in one step with the audit event in the stream. */
  changeApiKeys(change: ApiKeyChange): Promise<ApiKeyChanged>;
  apiKeys(page: ApiKeyPageRequest): Promise<ApiKeys>;
  /** Notes when keys were last used (epoch milliseconds); an earlier instant than the one that is kept changes nothing. */
  noteApiKeysUsed(uses: ReadonlyMap<string, number>): Promise<void>;
  apiKeysLastUsed(ids: readonly string[]): Promise<Map<string, number>>;
  /** Which partitions do not have the ledger's keys: a store that was lost or is new. Those that are away are left out. */
  partitionsWithoutApiKeys(): Promise<number[]>;
  /** Puts them into the store where it has none or an older state, closing the gates of those that are revoked. */
  publishApiKeys(publication: ApiKeyPublication): Promise<void>;
}
