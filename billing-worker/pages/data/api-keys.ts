import { timingSafeEqual } from 'node:crypto';
import type { Sql } from 'postgres';
import { z } from 'zod';
import { digestOfKey, idOfKey } from '../../../sidecar/keys/key-text.ts';
import type { Answered, SidecarApi } from './sidecar-api.ts';

const keySchema = z.object({
  id: z.string(),
  prefix: z.string(),
  name: z.string().optional(),
  tenant_id: z.string(),
  team_id: z.string().optional(),
  user_id: z.string().optional(),
  state: z.enum(['active', 'ending', 'expired', 'revoked']),
  created_at: z.string(),
  expires_at: z.string().optional(),
  last_used_at: z.string().optional(),
});
const listSchema = z.object({ keys: z.array(keySchema), next: z.string().optional() });
const issuedSchema = keySchema.extend({ key: z.string() });

/** A key without its secret. */
export type ShownKey = z.output<typeof keySchema>;
/** With `key`, which is shown once. */
export type IssuedKey = z.output<typeof issuedSchema>;

const PATH = '/api/admin/keys';
const pathOf = (id: string) => `${PATH}/${encodeURIComponent(id)}`;

export const listKeys = (
  { after, tenantId }: { tenantId: string | undefined; after: string | undefined },
  sidecar: SidecarApi,
): Promise<Answered<z.output<typeof listSchema>>> =>
  sidecar.ask({ path: PATH, query: { tenant_id: tenantId, after, limit: '50' }, schema: listSchema });

export const readKey = (id: string, sidecar: SidecarApi): Promise<Answered<ShownKey>> =>
  sidecar.ask({ path: pathOf(id), schema: keySchema });

export const issueKey = (body: object, sidecar: SidecarApi): Promise<Answered<IssuedKey>> =>
  sidecar.ask({ method: 'POST', path: PATH, body, schema: issuedSchema });

export const rotateKey = (id: string, body: object, sidecar: SidecarApi): Promise<Answered<IssuedKey>> =>
  sidecar.ask({ method: 'POST', path: `${pathOf(id)}/rotate`, body, schema: issuedSchema });

export const revokeKey = (id: string, body: object, sidecar: SidecarApi): Promise<Answered<ShownKey>> =>
  sidecar.ask({ method: 'POST', path: `${pathOf(id)}/revoke`, body, schema: keySchema });

/** Whose key this is, if it is one and counts now. */
interface KeyHolder {
  id: string;
  tenantId: string;
  /** Of the whole tenant: not of one team or user of it. */
  isTenants: boolean;
}

/**
 * By its digest, as the ledger has it, and its state, as the sidecar has it; while that is away, as the ledger has it.
 * Undefined: it is no key, or no longer one.
 */
export async function holderOfKey(text: string, { now, sidecar, sql }: { sql: Sql; sidecar: SidecarApi; now: number }) {
  const id = idOfKey(text);
  if (id === undefined) return undefined;
  const [row] = await sql`
    select tenant_id, team_id, user_id, digest, (revoked_at is null and (expires_at is null or expires_at > ${new Date(now).toISOString()}::timestamptz)) as good
    from api_keys where id = ${id}`;
  const digest = Buffer.from(digestOfKey(text));
  if (!row?.good || row.digest.length !== digest.length || !timingSafeEqual(digest, Buffer.from(row.digest)))
    return undefined;
  const told = await readKey(id, sidecar);
  const counts = told.ok ? told.value.state === 'active' || told.value.state === 'ending' : told.status === 0;
  if (!counts) return undefined;
  const holder: KeyHolder = { id, tenantId: row.tenant_id, isTenants: row.team_id === null && row.user_id === null };
  return holder;
}
