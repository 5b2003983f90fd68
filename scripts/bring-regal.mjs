import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { findOnPath } from './lib/find-on-path.mjs';

/**
 * Regal, the linter for Rego: REGAL_BIN, or what is on PATH. Nothing depends on it: checks say that they were made without.
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string | undefined} absolute path of the program
 */
export function findRegal(env = process.env) {
  if (!env.REGAL_BIN) return findOnPath('regal', env);
  const program = resolve(env.REGAL_BIN);
  if (!existsSync(program)) throw new Error(`REGAL_BIN: there is no ${program}; set it to a regal, or unset it`);
  return program;
}
