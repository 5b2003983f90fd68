import { existsSync } from 'node:fs';
import { delimiter, resolve } from 'node:path';

/**
 * @param {string} name of a program
 * @param {NodeJS.ProcessEnv} env
 * @returns {string | undefined} its absolute path
 */
export function findOnPath(name, env) {
  const folders = (env.PATH ?? '').split(delimiter).filter(Boolean);
  return folders.map((folder) => resolve(folder, name)).find((path) => existsSync(path));
}
