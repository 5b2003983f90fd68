import type { Config } from '../../runtime/config/files.ts';
import { Refusal } from '../routes/refusal.ts';

/** Whose a user is, or a key is to be: the user's own in users.yaml, else the one that is named, else the only one there is. */
export function tenantOf(userId: string | undefined, named: string | undefined, { tenants, users }: Config): string {
  const own = users.users.find(({ id }) => id === userId)?.tenant;
  if (own !== undefined && named !== undefined && own !== named) {
    throw new Refusal(400, 'invalid_parameter', `tenant_id: ${userId} is of tenant ${own}, as users.yaml says`);
  }
  const [only, ...more] = Object.keys(tenants.tenants);
  const tenant = own ?? named ?? (more.length === 0 ? only : undefined);
  if (tenant !== undefined) return tenant;
  const why = userId === undefined ? '' : 'users.yaml does not say whose the user is, and ';
  throw new Refusal(400, 'invalid_parameter', `tenant_id: is missing: ${why}there is not only one tenant`);
}
