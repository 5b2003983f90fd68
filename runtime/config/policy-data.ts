import type { PolicyProviders } from '../../schemas/policy-input.ts';
import type { Config } from './files.ts';
import { providerData } from './provider-data.ts';

/** What policies see of the configuration, as `data.config`: no key, and nothing of how tokens are checked. */
export const policyData = ({ auth, budgets, models, providers, teams, tenants, users }: Config): PolicyData => ({
  tenants,
  models,
  budgets,
  teams,
  providers: providerData(providers, models),
  authentication: { require_user: auth.enabled && auth.require_user },
  users: Object.fromEntries(
    users.users.map(({ department, id, projects, role, team, tenant, tier }) => [
      id,
      { department, projects, role, team, tenant, tier },
    ]),
  ),
});

export interface PolicyData extends Pick<Config, 'tenants' | 'models' | 'budgets' | 'teams'> {
  providers: PolicyProviders;
  authentication: { require_user: boolean };
  /** By id. */
  users: Record<
    string,
    Partial<Record<'department' | 'role' | 'team' | 'tenant' | 'tier', string | undefined>> & { projects: string[] }
  >;
}
