import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ask } from './ask-service.mjs';
import { toStderr } from './main.mjs';
import { projectRoot } from './root.mjs';

/** Where the billing worker of this machine listens. */
export const billingUrl = () => `http://127.0.0.1:${process.env.BILLING_PORT || 8182}`;

/** For `--help`. */
export const TOKEN_HELP = '\nThe token is ADMIN_TOKEN, else the one that `npm start` keeps in DATA_DIR.';

/**
 * Asks the billing worker, since an embedded ledger is open to one process alone. Throws what it refuses, as it says it.
 * @param {URL} address
 * @returns {Promise<{ text: string, headers: Headers }>}
 */
export async function askBilling(address) {
  return ask({ name: 'the billing worker', token: await adminToken() }, address);
}

/**
 * A route with those of a command's options that are parameters of it.
 * @param {string} path
 * @param {{ url: string }} options
 * @param {Record<string, string>} parameters the parameter of each option
 */
export function addressOf(path, options, parameters) {
  const address = new URL(path, options.url);
  for (const [option, parameter] of Object.entries(parameters)) {
    const value = /** @type {Record<string, string | undefined>} */ ({ ...options })[option];
    if (value !== undefined) address.searchParams.set(parameter, value);
  }
  return address;
}

/**
 * Writes a result into a file, or to standard output if there is none.
 * @param {string} text
 * @param {{ output?: string | undefined, script: string }} to `script`: as package.json names it
 */
export async function writeResult(text, { output, script }) {
  if (output === undefined) {
    process.stdout.write(text);
    return;
  }
  // npm starts scripts in the project's folder, whatever folder it was called in.
  const here = (process.env.npm_lifecycle_event === script && process.env.INIT_CWD) || process.cwd();
  await writeFile(resolve(here, output), text);
  toStderr(`written to ${resolve(here, output)}`);
}

/** @throws {Error} where there is none */
export async function adminToken() {
  const { ADMIN_TOKEN, DATA_DIR = '.data' } = process.env;
  if (ADMIN_TOKEN) return ADMIN_TOKEN;
  const kept = await readFile(join(resolve(projectRoot, DATA_DIR), 'admin-token'), 'utf8').catch(() => undefined);
  if (kept) return kept.trim();
  throw new Error('set ADMIN_TOKEN to the one of the billing worker');
}
