import { type ApiKey, gateOfKey } from '../../../schemas/api-key.ts';
import { auditEvent, changeEvent, checkPublished, readApiKey, type UntimedAuditEvent } from '../api-key-checks.ts';
import { ApiKeyPage } from '../api-key-page.ts';
import {
  API_KEY_MEMORY_MS,
  type ApiKeyChange,
  type ApiKeyChanged,
  type ApiKeyPageRequest,
  type ApiKeyPublication,
  type ApiKeys,
  type AuditEntry,
} from '../api-keys.ts';
import { CountersUnavailable } from '../contract.ts';
import type { Decided, Effect } from './effect.ts';
import { KEYS } from './look.ts';
import type { State } from './state.ts';
import { streamEvent } from './stream-event.ts';

const PARTITION = 0;

const partitionOf = () => PARTITION;

export function decideAudit(state: State, entry: AuditEntry, now: number): Decided<void> {
  return { answer: undefined, effect: { event: appended(state, auditEvent(entry), now) } };
}

export function decideApiKeyChange(
  state: State,
  change: ApiKeyChange,
  most: number,
  now: number,
): Decided<ApiKeyChanged> {
  const event = changeEvent(change, partitionOf);
  const { api_keys: keys = [] } = event;
  if (keys.some(({ id, revision }) => revision !== revisionOf(state, id) + 1)) return { answer: 'stale' };
  const added = keys.filter(({ id }) => !state.apiKeys.has(id)).length;
  if (added > 0 && state.apiKeys.size + added > most) return { answer: 'full' };
  const { closeGates, tenantId } = change;
  const effect: Effect = {
    apiKeys: keys.map((key) => [key.id, key]),
    closedGates: closeGates.map((name) => gate(tenantId, name)),
    event: appended(state, event, now),
  };
  return { answer: 'changed', effect };
}

/** Those that are over for so long that nobody asks for them. */
export function decideApiKeyDrop(state: State, now: number): Decided<void> {
  const dropped = [...state.apiKeys.values()].filter((key) => now - overSince(key) >= API_KEY_MEMORY_MS);
  if (dropped.length === 0) return { answer: undefined };
  return { answer: undefined, effect: { apiKeys: dropped.map(({ id }) => [id, null]) } };
}

/** Throws `CountersUnavailable` for one that a newer release has written. */
export function keptApiKey(state: State, id: string): ApiKey | undefined {
  const kept = state.apiKeys.get(id);
  return kept && readApiKey(id, kept);
}

export function listApiKeys(state: State, request: ApiKeyPageRequest): ApiKeys {
  const { tenantId } = request;
  const page = new ApiKeyPage(request);
  for (const [id, key] of state.apiKeys) {
    if (tenantId === undefined || key.tenant_id === tenantId) page.add(id);
  }
  const { ids, next } = page.end();
  return { keys: ids.map((id) => readApiKey(id, state.apiKeys.get(id))), next };
}

export function decideApiKeyUses(state: State, uses: ReadonlyMap<string, number>): Decided<void> {
  for (const at of uses.values()) {
    if (!Number.isSafeInteger(at) || at < 0) throw new CountersUnavailable('when an API key was used is no instant');
  }
  const later = [...uses].filter(([id, at]) => state.apiKeys.has(id) && at > (state.apiKeysUsed.get(id) ?? -1));
  if (later.length === 0) return { answer: undefined };
  return { answer: undefined, effect: { apiKeysUsed: later } };
}

export function apiKeyUses({ apiKeysUsed }: State, ids: readonly string[]): Map<string, number> {
  return new Map(
    ids.flatMap((id) => {
      const at = apiKeysUsed.get(id);
      return at === undefined ? [] : [[id, at] as const];
    }),
  );
}

export function decideApiKeyPublication(state: State, { complete, keys, partition }: ApiKeyPublication): Decided<void> {
  if (partition !== PARTITION) throw new CountersUnavailable(`there is no partition ${partition} for API keys`);
  const published = checkPublished(keys, partition, partitionOf);
  const newer = published.filter(({ id, revision }) => revision > revisionOf(state, id));
  const revoked = published.filter(({ revoked_at }) => revoked_at !== undefined);
  const effect: Effect = {
    apiKeys: newer.map((key) => [key.id, key]),
    closedGates: revoked.map(({ id, tenant_id }) => gate(tenant_id, gateOfKey(id))),
    ...(complete && { apiKeysPublished: true }),
  };
  return { answer: undefined, effect };
}

/** Partitions without the ledger's keys. */
export const unpublished = ({ apiKeysPublished }: State): number[] => (apiKeysPublished ? [] : [PARTITION]);

const revisionOf = ({ apiKeys }: State, id: string): number => apiKeys.get(id)?.revision ?? 0;

const overSince = ({ expires_at, revoked_at }: ApiKey): number =>
  Math.min(revoked_at ?? Number.POSITIVE_INFINITY, expires_at ?? Number.POSITIVE_INFINITY);

const gate = (tenantId: string, name: string): string => KEYS.gate({ tenantId, scope: 'tenant', name });

const appended = (state: State, event: UntimedAuditEvent, at: number): NonNullable<Effect['event']> => [
  state.lastEntry + 1,
  streamEvent({ ...event, at }),
];
