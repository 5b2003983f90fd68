import { API_KEY_VERSION, type ApiKey, apiKeySchema, partitionOfKey } from '../../schemas/api-key.ts';
import { type AuditEvent, auditEventSchema } from '../../schemas/audit-event.ts';
import { USAGE_EVENT_VERSION } from '../../schemas/usage-event.ts';
import type { ApiKeyChange, AuditEntry } from './api-keys.ts';
import { CountersUnavailable } from './contract.ts';

/** What is said of an audit event before the store adds when it is. */
export type UntimedAuditEvent = Omit<AuditEvent, 'at'>;

type PartitionOf = (tenantId: string) => number;

const untimed = auditEventSchema.omit({ at: true });

/** Throws `CountersUnavailable` for one that the ledger could not keep. */
export function auditEvent(entry: AuditEntry): UntimedAuditEvent {
  const { data, error } = untimed.safeParse({ ...entry, v: USAGE_EVENT_VERSION, type: 'audit' });
  if (data) return data;
  throw new CountersUnavailable(`audit event ${entry.id} is none: ${firstIssue(error)}`);
}

/** Throws `CountersUnavailable` for a change that no store may be asked for, whatever it keeps. */
export function changeEvent({ audit, keys, tenantId }: ApiKeyChange, partitionOf: PartitionOf): UntimedAuditEvent {
  const event = auditEvent({ ...audit, tenant_id: tenantId, api_keys: keys });
  checkOnce(keys);
  for (const key of keys) {
    checkHome(key, partitionOf);
    if (key.tenant_id !== tenantId) throw new CountersUnavailable(`API key ${key.id} is not of tenant ${tenantId}`);
  }
  return event;
}

/** As above, for keys of the ledger that belong in one partition. */
export function checkPublished(keys: ApiKey[], partition: number, partitionOf: PartitionOf): ApiKey[] {
  checkOnce(keys);
  return keys.map((given) => {
    const key = readApiKey(given.id, given);
    if (checkHome(key, partitionOf) === partition) return key;
    throw new CountersUnavailable(`API key ${key.id} is published in partition ${partition}`);
  });
}

/** Throws `CountersUnavailable` for anything but this key in a version that is known: it is never let in. */
export function readApiKey(id: string, kept: unknown): ApiKey {
  const { data, error } = apiKeySchema.safeParse(kept);
  if (data?.id === id) return data;
  const version = (kept as { v?: unknown } | null)?.v;
  const newer = typeof version === 'number' && version > API_KEY_VERSION;
  const reason = newer ? `is of version ${version}; this is version ${API_KEY_VERSION}` : 'cannot be read';
  throw new CountersUnavailable(`API key ${id} ${reason}: ${error ? firstIssue(error) : `it says it is ${data?.id}`}`);
}

/** A key is found by the partition in its id, and its gate by that of its tenant: they must be the same one. */
function checkHome({ id, tenant_id }: ApiKey, partitionOf: PartitionOf): number {
  const [ofId, ofTenant] = [partitionOfKey(id), partitionOf(tenant_id)];
  if (id.startsWith(`k${ofTenant}_`)) return ofTenant;
  throw new CountersUnavailable(`API key ${id} is of partition ${ofId}, and its tenant of ${ofTenant}`);
}

function checkOnce(keys: ApiKey[]): void {
  const ids = new Set(keys.map(({ id }) => id));
  if (ids.size < keys.length) throw new CountersUnavailable('the same API key twice in one call');
}

const firstIssue = ({ issues: [issue] }: { issues: { path: PropertyKey[]; message: string }[] }): string =>
  `${issue?.path.join('.')} ${issue?.message}`;
