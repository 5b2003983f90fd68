import type { Config } from './files.ts';

/** What policies see of the configuration, as `data.config`: no key, and nothing of how tokens are checked. */
export const policyData = ({ auth, budgets, models, tenants, users }: Config): PolicyData => ({
  tenants,
  models,
  budgets,
  authentication: { require_user: auth.enabled && auth.require_user },
  users: Object.fromEntries(
    users.users.map(({ department, id, projects, role, team, tenant }) => [
      id,
      { department, projects, role, team, tenant },
    ]),
  ),
});

export interface PolicyData extends Pick<Config, 'tenants' | 'models' | 'budgets'> {
  authentication: { require_user: boolean };
  /** By id. */
  users: Record<
    string,
    Partial<Record<'department' | 'role' | 'team' | 'tenant', string | undefined>> & { projects: string[] }
  >;
}
