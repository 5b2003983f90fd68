import type { AuditEvent } from '../../schemas/audit-event.ts';
import type { auditEvents } from '../../schemas/tables.ts';

/** A row of the audit before the database adds what it computes itself. */
export type AuditRow = Omit<typeof auditEvents.$inferInsert, 'recorded_at'>;

/** The row of an audit event. Of keys it holds what was changed, and never what tells a key again. */
export const auditRow = (event: AuditEvent, streamId: string): AuditRow => ({
  id: event.id,
  action: event.action,
  actor: event.actor,
  source_ip: event.source_ip,
  tenant_id: event.tenant_id,
  target: event.target,
  reason: event.reason,
  api_keys: event.api_keys?.map(({ digest: _, ...shown }) => shown),
  at: new Date(event.at),
  stream_id: streamId,
});
