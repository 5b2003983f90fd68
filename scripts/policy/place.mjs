import { join, relative, resolve } from 'node:path';
import { bringOpa } from '../bring-opa.mjs';
import { toStderr } from '../lib/main.mjs';
import { cacheDir, projectRoot } from '../lib/root.mjs';
import { CAPABILITIES, SCHEMAS } from '../policy-folders.mjs';

/** Where the user is: npm starts scripts in the project's folder, whatever folder it was called in. */
const here = (process.env.npm_lifecycle_event?.startsWith('policy') && process.env.INIT_CWD) || process.cwd();

/** The project's own policies. */
export const OWN = join(projectRoot, 'policies');

/**
 * A path that the user typed.
 * @param {string} path
 */
export const absolute = (path) => resolve(here, path);

/**
 * A path as the user would type it.
 * @param {string} path
 */
export const shown = (path) => relative(here, path) || '.';

/** What every call of opa needs. */
export async function tools() {
  return {
    opa: await bringOpa({ cacheDir, log: toStderr }),
    cwd: here,
    capabilities: join(projectRoot, CAPABILITIES),
    schemas: join(projectRoot, SCHEMAS),
  };
}
