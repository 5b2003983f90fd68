import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { InvalidArgumentError } from 'commander';
import { bringEnvoyRatelimit } from '../../scripts/bring-envoy-ratelimit.mjs';
import { bringNginx } from '../../scripts/bring-nginx.mjs';
import { bringNode } from '../../scripts/bring-node.mjs';
import { bringOpa } from '../../scripts/bring-opa.mjs';
import { bringPostgres } from '../../scripts/bring-postgres.mjs';
import { bringRedis } from '../../scripts/bring-redis.mjs';
import { bringWrk } from '../../scripts/bring-wrk.mjs';
import { ensureBuilt } from '../../scripts/build.mjs';
import { toStderr } from '../../scripts/lib/main.mjs';
import { cacheDir, projectRoot } from '../../scripts/lib/root.mjs';
import { run } from '../../scripts/lib/run.mjs';

/** @typedef {{ cacheDir: string, log: import('../../scripts/lib/progress.mjs').Log }} Options */

const BRING = {
  wrk: bringWrk,
  redis: bringRedis,
  opa: bringOpa,
  nginx: bringNginx,
  envoyRatelimit: bringEnvoyRatelimit,
  postgres: async (/** @type {Options} */ options) => (await bringPostgres(options)).native,
};

/** For options of commander. */
export function whole(/** @type {string} */ text) {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number from 1 on.');
}

/**
 * Compiles the project and the benchmark, and loads one of its modules.
 * @param {string} file of this folder, compiled
 */
export async function compiledModule(file) {
  await ensureBuilt();
  const compiler = join(projectRoot, 'node_modules/typescript/bin/tsc');
  const compiled = await run(process.execPath, [compiler, '-p', 'bench/tsconfig.json'], { cwd: projectRoot });
  if (!compiled.ok) throw new Error(`the benchmark does not compile:\n${compiled.stdout || compiled.problem}`);
  return import(pathToFileURL(join(cacheDir, 'bench/bench/neighbours', file)).href);
}

/**
 * What systems are started with. What they are is ended, and their folder removed, when this process ends.
 * @param {{ profiles?: string, node?: string }} [options] `node`: undefined for that of the image
 */
export async function tools({ node, profiles } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'openclaw-rating-bench-'));
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']))
    process.on(signal, () => process.exit(130));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const bring = (/** @type {keyof typeof BRING} */ name) => BRING[name]({ cacheDir, log: toStderr });
  const program = node ?? (await bringNode({ cacheDir, log: toStderr }));
  return { root: projectRoot, node: program, folder, profiles: profiles && resolve(profiles), bring };
}
