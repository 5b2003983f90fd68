import { z } from 'zod';
import { AUDIT_ACTIONS } from '../../schemas/audit-event.ts';
import { readCursor } from '../audit/cursor.ts';
import { type AuditQuery, LEDGER_ACTIONS } from '../audit/timeline.ts';
import { INSTANT, instantParameter } from './instant-parameter.ts';
import { readQueryParameters } from './query-parameters.ts';

const ACTIONS = [...AUDIT_ACTIONS, ...LEDGER_ACTIONS] as const;
const MAX_LIMIT = 1_000;

const name = z
  .string()
  .min(1)
  .refine((text) => !text.includes('\u0000'));

/** The parameters of `GET /v1/audit`. */
const schema = z
  .strictObject({
    /** The first instant that counts. */
    from: instantParameter.optional(),
    /** The first instant that no longer counts. */
    to: instantParameter.optional(),
    tenant_id: name.optional(),
    user_id: name.optional(),
    actor: name.optional(),
    action: z.enum(ACTIONS).optional(),
    credential_id: name.optional(),
    target: name.optional(),
    limit: z
      .string()
      .regex(/^\d{1,4}$/)
      .transform(Number)
      .pipe(z.int().min(1).max(MAX_LIMIT))
      .default(100),
    after: z
      .string()
      .transform(readCursor)
      .refine((cursor) => cursor !== undefined)
      .optional(),
    format: z.enum(['csv', 'json']).optional(),
  })
  .refine(({ from, to }) => !from || !to || Date.parse(from) < Date.parse(to), { path: ['to'] });

const RIGHT = {
  from: INSTANT,
  to: `${INSTANT}, later than "from"`,
  tenant_id: 'must name a tenant, or be left out for all of them',
  user_id: 'must name a user, or be left out for all of them',
  actor: 'must say who did it, such as admin; or be left out',
  action: `must be ${ACTIONS.slice(0, -1).join(', ')} or ${ACTIONS.at(-1)}`,
  credential_id: 'must name a credential, such as key:k0_… or jwt; or be left out',
  target: 'must say what it was done to, such as the id of a key; or be left out',
  limit: `must be a whole number from 1 to ${MAX_LIMIT}`,
  after: 'must be the "next" of the page before',
  format: 'must be csv or json, or be left out for what the header Accept asks for',
};

export type AuditRequest = AuditQuery & { format?: 'csv' | 'json' | undefined };

/** Reads the parameters. What is wrong is told as a sentence that says what would be right. */
export const parseAuditQuery = (parameters: URLSearchParams): AuditRequest | { wrong: string } =>
  readQueryParameters(parameters, schema, RIGHT);
