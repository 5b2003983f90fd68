import { z } from 'zod';

/** The version that this code writes. A reader refuses a newer one and reads every older one. */
export const API_KEY_VERSION = 1;

/** PostgreSQL's text cannot hold NUL. */
const text = z
  .string()
  .min(1)
  .refine((value) => !value.includes('\u0000'), { error: 'must not contain NUL' });
const instant = z.int().min(0);

/** `k<partition>_<12 characters>`: says in which partition of the store the key is kept. */
export const apiKeyIdSchema = z.string().regex(/^k\d{1,2}_[0-9A-Za-z]{12}$/);

/**
 * All that is kept of an API key: never the key, whose digest tells it again. Instants are epoch milliseconds.
 * It belongs to a tenant, and where `team_id` or `user_id` says so to that team or user alone.
 */
export const apiKeySchema = z.object({
  v: z.literal(API_KEY_VERSION),
  id: apiKeyIdSchema,
  /** 1 at first, and one more with each change: of two states of a key the higher one holds. */
  revision: z.int().min(1),
  /** SHA-256 of the whole key, in hexadecimal digits. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  /** For people. */
  name: text.optional(),
  tenant_id: text,
  team_id: text.optional(),
  user_id: text.optional(),
  created_at: instant,
  created_by: text,
  /** From when it is refused: its own end, or that of the grace after a rotation, whichever comes first. */
  expires_at: instant.optional(),
  /** The key that it took the place of, and the one that took its place. */
  rotated_from: apiKeyIdSchema.optional(),
  rotated_to: apiKeyIdSchema.optional(),
  revoked_at: instant.optional(),
});

export type ApiKey = z.infer<typeof apiKeySchema>;

/** The gate of a tenant that is closed for good once the key is revoked. */
export const gateOfKey = (id: string): string => `key:${id}`;

/** As usage events name it. */
export const credentialOfKey = (id: string): string => `key:${id}`;

/** In which partition a key is kept: that of its tenant when it was issued. Undefined: `id` is none. */
export function partitionOfKey(id: string): number | undefined {
  return apiKeyIdSchema.safeParse(id).success ? Number.parseInt(id.slice(1), 10) : undefined;
}
