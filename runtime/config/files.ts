import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { z } from 'zod';
import { type AuthConfig, authSchema } from '../../schemas/config/auth.ts';
import { type BudgetsConfig, budgetsSchema } from '../../schemas/config/budgets.ts';
import { type ModelsConfig, modelsSchema } from '../../schemas/config/models.ts';
import { type ProvidersConfig, providersSchema } from '../../schemas/config/providers.ts';
import { type TeamsConfig, teamsSchema } from '../../schemas/config/teams.ts';
import { type TenantsConfig, tenantsSchema } from '../../schemas/config/tenants.ts';
import { type UsersConfig, usersSchema } from '../../schemas/config/users.ts';
import { ConfigError } from './config-error.ts';
import { readYamlFile } from './yaml-file.ts';

/** What the files of `CONFIG_DIR` say. */
export interface Config {
  tenants: TenantsConfig;
  models: ModelsConfig;
  auth: AuthConfig;
  users: UsersConfig;
  budgets: BudgetsConfig;
  teams: TeamsConfig;
  providers: ProvidersConfig;
}

/** Reads every file of the folder; all but `tenants.yaml` may be left out. Throws one `ConfigError` with all problems of all files. */
export function loadConfig(folder: string): Config {
  if (!existsSync(folder)) {
    throw new ConfigError([`${folder}: there is no such folder; CONFIG_DIR must name one that holds tenants.yaml`]);
  }
  const problems: string[] = [];
  const read = <Schema extends z.ZodType>(name: string, schema: Schema, isNeeded = false) => {
    const file = join(folder, name);
    if (!isNeeded && !existsSync(file)) return schema.parse({});
    try {
      return readYamlFile(file, schema);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(...error.problems);
      return undefined;
    }
  };
  const tenants = read('tenants.yaml', tenantsSchema, true);
  const models = read('models.yaml', modelsSchema);
  const auth = read('auth.yaml', authSchema);
  const users = read('users.yaml', usersSchema);
  const budgets = read('budgets.yaml', budgetsSchema);
  const teams = read('teams.yaml', teamsSchema);
  const providers = read('providers.yaml', providersSchema);
  if (!tenants || !models || !auth || !users || !budgets || !teams || !providers) throw new ConfigError(problems);
  problems.push(...unknownTiers(folder, users, teams), ...rulesOfUnknownBudgets(folder, providers, budgets));
  if (problems.length) throw new ConfigError(problems);
  return { tenants, models, auth: auth.authentication, users, budgets, teams, providers };
}

/** What is wrong between two files that are each right; so below. */
function unknownTiers(folder: string, { users }: UsersConfig, { tiers }: TeamsConfig): string[] {
  return users.flatMap(({ id, tier }) =>
    tier === undefined || Object.hasOwn(tiers, tier)
      ? []
      : [
          `${join(folder, 'users.yaml')}: ${id}: there is no tier ${JSON.stringify(tier)}; teams.yaml has ${Object.keys(tiers).join(', ')}`,
        ],
  );
}

function rulesOfUnknownBudgets(
  folder: string,
  { routing }: ProvidersConfig,
  { per_user_budgets }: BudgetsConfig,
): string[] {
  if (!per_user_budgets.rollover.enabled) return [];
  return routing.rules.flatMap(({ when: { budget_used_percent_from: percent } }, i) =>
    percent === undefined
      ? []
      : [
          `${join(folder, 'providers.yaml')}: routing.rules.${i}: budget_used_percent_from cannot be used together with the rollover of budgets.yaml: ` +
            `a day then holds what the day before has left as well, and what ${percent} % of it are is known to the counters alone; set rollover: { enabled: false }, or leave the rule out`,
        ],
  );
}
