import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { findOnPath } from './lib/find-on-path.mjs';
import { withLock } from './lib/lock.mjs';
import { isMain, toStderr } from './lib/main.mjs';
import { reportWhile, seconds } from './lib/progress.mjs';
import { cacheDir as projectCache, projectRoot } from './lib/root.mjs';
import { run } from './lib/run.mjs';

/** @typedef {import('./lib/progress.mjs').Log} Log */

/** The Go module that pins opa: its version in go.mod, the checksums of all that it is made of in go.sum. */
const MODULE = join(projectRoot, 'policies', 'tools', 'opa');
const PACKAGE = 'github.com/open-policy-agent/opa';
/** Compiling takes two minutes on two idle cores. */
const COMPILE_MS = 12 * 60_000;

/**
 * Finds or brings the pinned opa: OPA_BIN, PATH, the cache, or compiled by Go into the cache. May be called by several
 * processes at once.
 * @param {{ cacheDir: string, log: Log, env?: NodeJS.ProcessEnv }} options
 * @returns {Promise<string>} absolute path of the program
 * @throws {Error} that says what is missing and how to get it
 */
export async function bringOpa({ cacheDir, log, env = process.env }) {
  const version = await pinnedVersion();
  if (env.OPA_BIN) return checkedSetting(resolve(env.OPA_BIN), version);
  const inPath = await usable(findOnPath('opa', env), version, log);
  if (inPath) return inPath;
  const cached = resolve(cacheDir, `opa-${version}`, 'opa');
  if (await usable(cached, version, log)) return cached;
  const brought = withLock(resolve(cacheDir, 'opa.lock'), async () => {
    return (await usable(cached, version, log)) ?? compile(cached, version, { log, env });
  });
  return reportWhile(log, 'opa', brought);
}

/** The one place that names the version is go.mod. */
export async function pinnedVersion() {
  const text = await readFile(join(MODULE, 'go.mod'), 'utf8');
  const version = /github\.com\/open-policy-agent\/opa v(\S+)/.exec(text)?.[1];
  if (!version) throw new Error(`${MODULE}/go.mod names no version of ${PACKAGE}`);
  return version;
}

/**
 * @param {string} program
 * @param {string} version
 */
async function checkedSetting(program, version) {
  const problem = await whyUnusable(program, version);
  if (problem) throw new Error(`OPA_BIN: ${problem}; set it to an opa ${version}, or unset it`);
  return program;
}

/**
 * @param {string | undefined} program
 * @param {string} version
 * @param {Log} log
 */
async function usable(program, version, log) {
  if (!program || !existsSync(program)) return undefined;
  const problem = await whyUnusable(program, version);
  if (problem) log(`opa: passing over ${problem}`);
  return problem ? undefined : program;
}

/**
 * Another version compiles other bytes, so the committed bundle would seem stale.
 * @param {string} program
 * @param {string} version
 */
async function whyUnusable(program, version) {
  const { ok, stdout, problem } = await run(program, ['version'], { timeoutMs: 20_000 });
  if (!ok) return problem;
  const found = /^Version:\s*(\S+)/m.exec(stdout)?.[1];
  return found === version ? undefined : `${program}, which is version ${found ?? 'unknown'} instead of ${version}`;
}

/**
 * Compiles inside the pinning module, so that Go holds every source it uses against the committed go.sum.
 * @param {string} cached
 * @param {string} version
 * @param {{ log: Log, env: NodeJS.ProcessEnv }} options
 */
async function compile(cached, version, { log, env }) {
  const folder = resolve(cached, '..');
  const building = `${folder}.building-${process.pid}`;
  log(`opa: compiling ${version} with Go; this takes about two minutes, once`);
  const began = performance.now();
  try {
    const goEnv = { ...env, GOBIN: building, GOWORK: 'off', CGO_ENABLED: '0' };
    const options = { cwd: MODULE, env: goEnv, timeoutMs: COMPILE_MS };
    const { ok, problem } = await run('go', ['install', '-mod=readonly', '-trimpath', PACKAGE], options);
    const wrong = ok ? await whyUnusable(join(building, 'opa'), version) : problem;
    if (wrong) throw new Error(howToGetIt(version, wrong));
    await mkdir(resolve(folder, '..'), { recursive: true });
    await rm(folder, { recursive: true, force: true });
    await rename(building, folder);
  } finally {
    await rm(building, { recursive: true, force: true });
  }
  log(`opa: ${cached} after ${seconds(began)} s`);
  return cached;
}

/**
 * @param {string} version
 * @param {string} tried
 */
function howToGetIt(version, tried) {
  return (
    `opa ${version} is not on this machine, and could not be compiled. It is needed to change policies and to check ` +
    `them, not to run the project. Either install it from ` +
    `https://github.com/open-policy-agent/opa/releases/tag/v${version} so that it is on PATH, or set OPA_BIN to its ` +
    `path, or install Go 1.26 (1.21 and later fetch 1.26 by themselves) and try again.\ntried: ${tried}`
  );
}

if (isMain(import.meta.url)) console.log(await bringOpa({ cacheDir: projectCache, log: toStderr }));
