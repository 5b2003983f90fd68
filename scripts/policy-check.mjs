import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isClean, isFormatted, isStrict, isTested } from './policy/folder-checks.mjs';
import { makeBundle, readBundle } from './policy-bundle.mjs';
import { makeCapabilities } from './policy-capabilities.mjs';
import { BUNDLES, CAPABILITIES, SCHEMAS } from './policy-folders.mjs';

/**
 * @typedef {object} Place
 * @property {string} opa
 * @property {string} root the project's folder
 * @property {string} [regal] without it, Regal is not run
 *
 * @typedef {(place: Place) => Promise<string[]>} Check gives what is wrong, each with the command that mends it
 */

const REBUILD = 'mend it with: npm run policy:build';

/**
 * Whether the policies are sound and what is generated from them is current. Writes nothing.
 * @type {Check}
 */
export async function checkPolicies(place) {
  const problems = [];
  for (const check of [capabilitiesAreCurrent, foldersAreSound, shippedIsTestedAndClean, bundlesAreCurrent]) {
    problems.push(...(await check(place)));
  }
  return problems;
}

/** @type {Check} */
async function capabilitiesAreCurrent({ opa, root }) {
  const committed = await readFile(join(root, CAPABILITIES), 'utf8').catch(() => undefined);
  if (committed === (await makeCapabilities(opa))) return [];
  return [`${CAPABILITIES} is not what opa and opa-wasm can do; ${REBUILD}`];
}

/** @type {Check} */
async function foldersAreSound(place) {
  const folders = BUNDLES.map(({ sources }) => checked(place, sources));
  const strict = await Promise.all(folders.map(isStrict));
  const formatted = await Promise.all(folders.map(isFormatted));
  return [...strict, ...formatted].flat();
}

/**
 * The fixtures have no tests in Rego: tests of the sidecar run them. And they do on purpose what Regal objects to.
 * @type {Check}
 */
async function shippedIsTestedAndClean(place) {
  const [{ sources } = { sources: '' }] = BUNDLES;
  const shipped = checked(place, sources);
  return [...(await isTested(shipped)), ...(await isClean(shipped, place.regal))];
}

/**
 * @param {Place} place
 * @param {string} sources
 * @returns {import('./policy/folder-checks.mjs').Checked}
 */
const checked = ({ opa, root }, sources) => ({ opa, cwd: root, sources, capabilities: CAPABILITIES, schemas: SCHEMAS });

/** @type {Check} */
async function bundlesAreCurrent({ opa, root }) {
  const problems = await Promise.all(
    BUNDLES.map(async ({ sources, bundle }) => {
      const capabilities = join(root, CAPABILITIES);
      const made = await makeBundle({ opa, folder: join(root, sources), capabilities }).catch(String);
      if (typeof made === 'string') return [`${sources} does not compile: ${made}`];
      const committed = await readBundle(join(root, bundle));
      return committed?.equals(made) ? [] : [`${bundle} is not what opa makes of ${sources}; ${REBUILD}`];
    }),
  );
  return problems.flat();
}
