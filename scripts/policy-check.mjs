import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bringOpa } from './bring-opa.mjs';
import { isMain, toStderr } from './lib/main.mjs';
import { cacheDir, projectRoot } from './lib/root.mjs';
import { run } from './lib/run.mjs';
import { makeBundle, readBundle } from './policy-bundle.mjs';
import { makeCapabilities } from './policy-capabilities.mjs';
import { BUNDLES, CAPABILITIES } from './policy-folders.mjs';

/**
 * @typedef {object} Place
 * @property {string} opa
 * @property {string} root the project's folder
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
  for (const check of [capabilitiesAreCurrent, sourcesAreStrict, sourcesAreFormatted, testsPass, bundlesAreCurrent]) {
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
async function sourcesAreStrict({ opa, root }) {
  const args = ['check', '--strict', '--capabilities', CAPABILITIES, '--bundle'];
  return eachFolder(async (sources) => complaint(await run(opa, [...args, sources], { cwd: root })));
}

/** @type {Check} */
async function sourcesAreFormatted({ opa, root }) {
  return eachFolder(async (sources) => {
    const { ok, stdout, problem } = await run(opa, ['fmt', '--diff', '--fail', sources], { cwd: root });
    const mend = `mend it with: "$(node scripts/bring-opa.mjs)" fmt --write ${sources}`;
    return ok ? [] : [`${sources} is not formatted; ${mend}\n${stdout.trim() || problem}`];
  });
}

/**
 * The fixtures have no tests in Rego: tests of the sidecar run them.
 * @type {Check}
 */
async function testsPass({ opa, root }) {
  const [{ sources } = { sources: '' }] = BUNDLES;
  const options = { cwd: join(root, sources) };
  const failed = complaint(await run(opa, ['test', '--bundle', '.'], options));
  if (failed.length) return failed;
  const { stdout } = await run(opa, ['test', '--bundle', '.', '--coverage', '--format', 'json'], options);
  return uncovered(JSON.parse(stdout)).map((line) => `no test runs ${sources}/${line}; write one beside it`);
}

/** @param {{ files: Record<string, { not_covered?: { start: { row: number } }[] }> }} report */
function uncovered({ files }) {
  const lines = Object.entries(files).flatMap(([file, { not_covered = [] }]) =>
    not_covered.map(({ start }) => `${file}:${start.row}`),
  );
  return [...new Set(lines)];
}

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

/** @param {(sources: string) => Promise<string[]>} check */
async function eachFolder(check) {
  return (await Promise.all(BUNDLES.map(({ sources }) => check(sources)))).flat();
}

/** @param {import('./lib/run.mjs').Outcome} outcome */
const complaint = ({ ok, problem, stderr, stdout }) => (ok ? [] : [stderr.trim() || stdout.trim() || problem]);

async function main() {
  const opa = await bringOpa({ cacheDir, log: toStderr });
  const problems = await checkPolicies({ opa, root: projectRoot });
  for (const problem of problems) toStderr(`policies: ${problem}`);
  if (problems.length) process.exitCode = 1;
  else toStderr('policies: strict, formatted, tested on every line; capabilities and bundles are current');
}

if (isMain(import.meta.url)) {
  await main().catch((error) => {
    toStderr(error.message);
    process.exitCode = 1;
  });
}
