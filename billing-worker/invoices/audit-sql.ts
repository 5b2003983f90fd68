import type { AuditAction } from '../../schemas/audit-event.ts';

/** Who asked for a change, and from which address. */
export interface Actor {
  by: string;
  sourceIp?: string | undefined;
}

/** What is audited: SQL expressions of the row of `from`, all of them text but `at`. */
interface Audited {
  action: AuditAction | { sql: string };
  id: string;
  actor: string;
  sourceIp: string;
  tenantId: string;
  target: string;
  reason: string;
  at: string;
  from: string;
}

/**
 * The audit entry of a change, as a part of the statement that makes the change: none is without the other. It comes from no
 * stream, so its `stream_id` is empty.
 */
export const auditedSql = ({ action, actor, at, from, id, reason, sourceIp, target, tenantId }: Audited): string => `
  insert into audit_events (id, action, actor, source_ip, tenant_id, target, reason, at, stream_id)
  select ${id}, ${typeof action === 'string' ? `'${action}'` : action.sql}, ${actor}, ${sourceIp}, ${tenantId}, ${target},
    ${reason}, ${at}, ''
  from ${from}
  returning id`;
