import { z } from 'zod';
import { apiKeySchema } from './api-key.ts';
import { USAGE_EVENT_VERSION } from './usage-event.ts';

/** PostgreSQL's text cannot hold NUL. */
const text = z.string().refine((value) => !value.includes('\u0000'), { error: 'must not contain NUL' });

/** What is done to the system rather than by it. Denials and budget grants are usage events of their own. */
export const AUDIT_ACTIONS = [
  'key.issued',
  'key.rotated',
  'key.revoked',
  'config.loaded',
  'config.refused',
  'policy.activated',
  'policy.refused',
  'cooldown.cleared',
  'usage_log.imported',
  'invoice.finalised',
  'invoice.credited',
  'invoice.repriced',
  'invoice.paid',
  'invoice.void',
  'billing.repaired',
] as const;

/**
 * Who did what, when, from where and why: another kind of entry of the usage stream, told by its `type`. It bills nothing. Never
 * a secret: of a key its digest, which only the ledger keeps.
 */
export const auditEventSchema = z.object({
  v: z.literal(USAGE_EVENT_VERSION),
  type: z.literal('audit'),
  /** Unique: the same one again changes nothing. */
  id: text.min(1),
  action: z.enum(AUDIT_ACTIONS),
  /** `admin`, or the process that did it by itself: `sidecar:<instance>`. */
  actor: text.min(1),
  /** From where it was asked for. */
  source_ip: text.optional(),
  tenant_id: text.optional(),
  /** What it was done to: a key's id, a file, a revision. */
  target: text.optional(),
  reason: text.optional(),
  /** The states of the keys that it changed, for the ledger to keep. */
  api_keys: z.array(apiKeySchema).optional(),
  /** Epoch milliseconds of the store's clock. */
  at: z.int().min(0),
});

export type AuditEvent = z.infer<typeof auditEventSchema>;
export type AuditAction = AuditEvent['action'];
