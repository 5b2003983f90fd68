import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureBuilt } from '../build.mjs';
import { projectRoot } from '../lib/root.mjs';
import { bundleOf } from './bundle-of.mjs';
import { absolute, OWN } from './place.mjs';

/** @type {Promise<void> | undefined} */
let built;

/**
 * A compiled module of the project, brought up to date.
 * @param {string} path in `dist/`
 */
export async function compiledModule(path) {
  built ??= ensureBuilt();
  await built;
  return import(pathToFileURL(join(projectRoot, 'dist', path)).href);
}

/**
 * Adds what every command that asks a policy needs.
 * @param {import('commander').Command} command
 */
export function withPolicyOptions(command) {
  return command
    .option('-i, --input <json>', 'JSON, a file of it, or - for standard input; an array holds several inputs')
    .option('-b, --bundle <path>', 'a bundle, or a folder of Rego that is compiled now', OWN)
    .option('-p, --package <path>', 'the metered package, such as acme/budget; needed where there are several')
    .option('--config <dir>', 'the configuration, data.config (default: CONFIG_DIR, or the example)');
}

/**
 * @param {{ bundle: string, package?: string, config?: string }} options
 * @returns {Promise<import('../../sidecar/workbench/open.ts').Workbench>}
 */
export async function openWorkbench({ bundle, config, package: pkg }) {
  const { openWorkbench: open } = await compiledModule('sidecar/workbench/open.js');
  const { bytes, name } = await bundleOf(bundle);
  return open({ bytes, name, pkg, configDir: configDir(config), variables: process.env });
}

/**
 * The policy of a bundle, without choosing a package of it.
 * @param {{ bundle: string, config?: string }} options
 * @returns {Promise<import('../../sidecar/policy/policy.ts').Policy>}
 */
export async function openPolicy({ bundle, config }) {
  const { openPolicy: open } = await compiledModule('sidecar/workbench/open-policy.js');
  const { bytes, name } = await bundleOf(bundle);
  return open({ bytes, name, configDir: configDir(config), variables: process.env });
}

/** @param {string | undefined} given */
export function configDir(given) {
  const folder = given ?? process.env.CONFIG_DIR;
  return folder ? absolute(folder) : join(projectRoot, 'config');
}
