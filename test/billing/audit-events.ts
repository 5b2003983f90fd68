import { createHash, randomUUID } from 'node:crypto';
import type { ApiKey } from '../../schemas/api-key.ts';
import type { AuditEvent } from '../../schemas/audit-event.ts';

const AT = Date.parse('2026-01-15T12:00:00Z');

let made = 0;

/** The first state of a key of `acme`, or what it is changed to. */
export function apiKey(over: Partial<ApiKey> = {}): ApiKey {
  const id = over.id ?? `k0_${String(++made).padStart(12, '0')}`;
  return {
    v: 1,
    id,
    revision: 1,
    digest: createHash('sha256').update(id).digest('hex'),
    tenant_id: 'acme',
    created_at: AT,
    created_by: 'admin',
    ...over,
  };
}

/** An audit event as the store appends it: keys that an admin has issued. */
export const auditEvent = (over: Partial<AuditEvent> = {}): AuditEvent => ({
  v: 1,
  type: 'audit',
  id: randomUUID(),
  action: 'key.issued',
  actor: 'admin',
  at: AT,
  ...over,
});

/** The event of a key that has come to this state. */
export const keyEvent = (key: ApiKey, over: Partial<AuditEvent> = {}): AuditEvent =>
  auditEvent({ tenant_id: key.tenant_id, target: key.id, api_keys: [key], ...over });
