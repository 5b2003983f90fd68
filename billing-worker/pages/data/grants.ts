import { z } from 'zod';
import type { Answered, SidecarApi } from './sidecar-api.ts';

const grantSchema = z.object({
  id: z.string(),
  tokens: z.number(),
  granted_at: z.string(),
  expires_at: z.string(),
  reason: z.string(),
  by: z.string(),
});
const listSchema = z.object({ grants: z.array(grantSchema) });

/** A boost of a user's budgets that counts now. Instants are RFC 3339. */
export type Grant = z.output<typeof grantSchema>;

interface Whose {
  tenantId: string;
  userId: string;
}

const pathOf = ({ userId }: Whose) => `/api/admin/budgets/${encodeURIComponent(userId)}/grants`;

export async function listGrants(whose: Whose, sidecar: SidecarApi): Promise<Grant[]> {
  const answer = await sidecar.ask({ path: pathOf(whose), query: { tenant_id: whose.tenantId }, schema: listSchema });
  return answer.ok ? answer.value.grants : [];
}

/** The same mark again gives nothing twice. */
export const grantTokens = (
  whose: Whose,
  { expiresAt, mark, reason, tokens }: { tokens: number; expiresAt: string; reason: string; mark: string },
  sidecar: SidecarApi,
): Promise<Answered<Grant>> =>
  sidecar.ask({
    method: 'POST',
    path: pathOf(whose),
    body: { tenant_id: whose.tenantId, tokens, expires_at: expiresAt, reason },
    headers: { 'Idempotency-Key': mark },
    schema: grantSchema,
  });

export const takeBackGrant = (whose: Whose, id: string, sidecar: SidecarApi): Promise<Answered<undefined>> =>
  sidecar.ask({
    method: 'DELETE',
    path: `${pathOf(whose)}/${encodeURIComponent(id)}`,
    query: { tenant_id: whose.tenantId },
    schema: z.undefined(),
  });
