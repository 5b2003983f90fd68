import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { bringOpa } from './bring-opa.mjs';
import { isMain, toStderr } from './lib/main.mjs';
import { cacheDir, projectRoot } from './lib/root.mjs';
import { compress } from './policy-archive.mjs';
import { makeBundle, readBundle } from './policy-bundle.mjs';
import { makeCapabilities } from './policy-capabilities.mjs';
import { BUNDLES, CAPABILITIES } from './policy-folders.mjs';

/** @typedef {import('./lib/progress.mjs').Log} Log */

/**
 * Writes the capabilities and every bundle.
 * @param {{ opa: string, root: string, log: Log }} options `root`: the project's folder
 */
export async function buildPolicies({ opa, root, log }) {
  const capabilities = join(root, CAPABILITIES);
  await writeFile(capabilities, await makeCapabilities(opa));
  log(CAPABILITIES);
  for (const { sources, bundle } of BUNDLES) {
    const output = join(root, bundle);
    const changed = await buildBundle({ opa, folder: join(root, sources), output, capabilities });
    log(`${bundle}${changed ? '' : ' (unchanged)'}`);
  }
}

/**
 * Writes the bundle of one folder. A file that holds the same already is left alone: Node versions compress differently.
 * @param {{ opa: string, folder: string, output: string, capabilities: string }} options
 * @returns {Promise<boolean>} whether the file was written
 */
export async function buildBundle({ opa, folder, output, capabilities }) {
  const made = await makeBundle({ opa, folder, capabilities });
  if ((await readBundle(output))?.equals(made)) return false;
  await mkdir(dirname(output), { recursive: true });
  await writeFile(output, await compress(made));
  return true;
}

/** Without arguments everything; with two, one folder: `node scripts/policy-build.mjs <sources> <bundle.tar.gz>`. */
async function main() {
  const [folder, output] = process.argv.slice(2);
  const opa = await bringOpa({ cacheDir, log: toStderr });
  if (!folder || !output) return buildPolicies({ opa, root: projectRoot, log: toStderr });
  const capabilities = join(projectRoot, CAPABILITIES);
  await buildBundle({ opa, folder: resolve(folder), output: resolve(output), capabilities });
  return undefined;
}

if (isMain(import.meta.url)) {
  await main().catch((error) => {
    toStderr(error.message);
    process.exitCode = 1;
  });
}
