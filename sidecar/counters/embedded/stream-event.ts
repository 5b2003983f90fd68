import type { AuditEvent } from '../../../schemas/audit-event.ts';
import type { UsageEvent } from '../../../schemas/usage-event.ts';
import type { StreamEvent } from './state.ts';

export const streamEvent = (event: UsageEvent | AuditEvent): StreamEvent => ({
  json: JSON.stringify(event),
  at: event.at,
});
