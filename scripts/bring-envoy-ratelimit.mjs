import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { withLock } from './lib/lock.mjs';
import { isMain, toStderr } from './lib/main.mjs';
import { reportWhile, seconds } from './lib/progress.mjs';
import { cacheDir as projectCache, projectRoot } from './lib/root.mjs';
import { run } from './lib/run.mjs';

/** @typedef {import('./lib/progress.mjs').Log} Log */

/** The Go module that pins it: its version in go.mod, the checksums of all that it is made of in go.sum. */
const MODULE = join(projectRoot, 'bench', 'neighbours', 'tools', 'envoy-ratelimit');
const PACKAGE = 'github.com/envoyproxy/ratelimit/src/service_cmd';
/** What Go calls the program, after its folder. */
const PROGRAM = 'service_cmd';
/** Compiling takes about a minute on two idle cores. */
const COMPILE_MS = 10 * 60_000;

/**
 * Finds or brings Envoy's rate limit service, which the benchmark compares with: ENVOY_RATELIMIT_BIN, the cache, or compiled
 * by Go into the cache. It does not tell its version, so one on PATH is not taken. May be called by several processes at once.
 * @param {{ cacheDir: string, log: Log, env?: NodeJS.ProcessEnv }} options
 * @returns {Promise<string>} absolute path of the program
 * @throws {Error} that says what is missing and how to get it
 */
export async function bringEnvoyRatelimit({ cacheDir, log, env = process.env }) {
  if (env.ENVOY_RATELIMIT_BIN) return resolve(env.ENVOY_RATELIMIT_BIN);
  const cached = resolve(cacheDir, `envoy-ratelimit-${await pinnedVersion()}`, PROGRAM);
  if (existsSync(cached)) return cached;
  const brought = withLock(resolve(cacheDir, 'envoy-ratelimit.lock'), async () =>
    existsSync(cached) ? cached : compile(cached, { log, env }),
  );
  return reportWhile(log, 'Envoy ratelimit', brought);
}

async function pinnedVersion() {
  const text = await readFile(join(MODULE, 'go.mod'), 'utf8');
  const version = /github\.com\/envoyproxy\/ratelimit v(\S+)/.exec(text)?.[1];
  if (!version) throw new Error(`${MODULE}/go.mod names no version of ${PACKAGE}`);
  return version;
}

/**
 * Compiles inside the pinning module, so that Go holds every source it uses against the committed go.sum.
 * @param {string} cached
 * @param {{ log: Log, env: NodeJS.ProcessEnv }} options
 */
async function compile(cached, { env, log }) {
  const folder = resolve(cached, '..');
  const building = `${folder}.building-${process.pid}`;
  log('Envoy ratelimit: compiling it with Go, once');
  const began = performance.now();
  try {
    const goEnv = { ...env, GOBIN: building, GOWORK: 'off', CGO_ENABLED: '0' };
    const options = { cwd: MODULE, env: goEnv, timeoutMs: COMPILE_MS };
    const { ok, problem } = await run('go', ['install', '-mod=readonly', '-trimpath', PACKAGE], options);
    if (!ok) throw new Error(howToGetIt(problem));
    await mkdir(resolve(folder, '..'), { recursive: true });
    await rm(folder, { recursive: true, force: true });
    await rename(building, folder);
  } finally {
    await rm(building, { recursive: true, force: true });
  }
  log(`Envoy ratelimit: ${cached} after ${seconds(began)} s`);
  return cached;
}

/** @param {string} tried */
const howToGetIt = (tried) =>
  'Envoy ratelimit is not on this machine, and could not be compiled. It is needed to compare with it, not to run the ' +
  'project. Either set ENVOY_RATELIMIT_BIN to the path of one made from https://github.com/envoyproxy/ratelimit, or ' +
  `install Go 1.26 (1.21 and later fetch it by themselves) and try again.\ntried: ${tried}`;

if (isMain(import.meta.url)) console.log(await bringEnvoyRatelimit({ cacheDir: projectCache, log: toStderr }));
