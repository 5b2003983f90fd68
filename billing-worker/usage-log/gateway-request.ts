import { z } from 'zod';
import { amountSchema } from '../../schemas/amounts.ts';
import { safePath } from './safe-path.ts';

const GATEWAYS = ['nginx', 'caddy', 'traefik', 'envoy', 'haproxy'] as const;
export type Gateway = (typeof GATEWAYS)[number];

const MAX_NAME = 1_024;
/** What comes first and last in `timestamptz` that JavaScript knows, without years of five digits. */
const FIRST = 0;
const LAST = Date.parse('9999-12-31T00:00:00Z');

/** PostgreSQL's text holds neither NUL nor half a character; a log has what clients send. */
const storable = (value: string) => value.replaceAll('\u0000', '\ufffd').toWellFormed();
const text = z.string().min(1).max(MAX_NAME).transform(storable);

const instant = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  .refine((value) => Date.parse(value) >= FIRST && Date.parse(value) < LAST);

/**
 * One request that a gateway has answered: a line of the body of `POST /v1/usage-log`, and a row of `gateway_requests`.
 * Same `id` and `at`: the same request. Bytes are left out where the gateway does not log them.
 */
export const gatewayRequestSchema = z.strictObject({
  id: z.string().min(1).max(512).transform(storable),
  at: instant,
  tenant_id: text.optional(),
  team_id: text.optional(),
  user_id: text.optional(),
  credential_id: text.optional(),
  decision_id: text.optional(),
  method: z.string().min(1).max(32).transform(storable).optional(),
  path: z
    .string()
    .transform((target) => storable(safePath(target)))
    .optional(),
  status: z.int().min(0).max(999),
  duration_ms: amountSchema.optional(),
  bytes_in: amountSchema.optional(),
  bytes_out: amountSchema.optional(),
  gateway: z.enum(GATEWAYS),
});

export type GatewayRequest = z.infer<typeof gatewayRequestSchema>;
