import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type ModelsConfig, modelsSchema } from '../../schemas/config/models.ts';
import { type TenantsConfig, tenantsSchema } from '../../schemas/config/tenants.ts';
import { ConfigError } from './config-error.ts';
import { readYamlFile } from './yaml-file.ts';

/** What the files of `CONFIG_DIR` say. Policies see the same as `data.config`. */
export interface Config {
  tenants: TenantsConfig;
  models: ModelsConfig;
}

/** Reads every file of the folder; `models.yaml` may be left out. Throws one `ConfigError` with all problems of all files. */
export function loadConfig(folder: string): Config {
  if (!existsSync(folder)) {
    throw new ConfigError([`${folder}: there is no such folder; CONFIG_DIR must name one that holds tenants.yaml`]);
  }
  const problems: string[] = [];
  const attempt = <Result>(read: () => Result): Result | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(...error.problems);
      return undefined;
    }
  };
  const modelsFile = join(folder, 'models.yaml');
  const tenants = attempt(() => readYamlFile(join(folder, 'tenants.yaml'), tenantsSchema));
  const models = attempt(() =>
    existsSync(modelsFile) ? readYamlFile(modelsFile, modelsSchema) : modelsSchema.parse({}),
  );
  if (!tenants || !models) throw new ConfigError(problems);
  return { tenants, models };
}
