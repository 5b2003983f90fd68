import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { withLock } from './lib/lock.mjs';
import { isMain, toStderr } from './lib/main.mjs';
import { reportWhile, seconds } from './lib/progress.mjs';
import { cacheDir as projectCache, projectRoot } from './lib/root.mjs';
import { run } from './lib/run.mjs';

/** @typedef {import('./lib/progress.mjs').Log} Log */

/** The Go module that pins stripe-mock: its version in go.mod, the checksums of all that it is made of in go.sum. */
const MODULE = join(projectRoot, 'billing-worker', 'stripe', 'mock-server');
const PACKAGE = 'github.com/stripe/stripe-mock';
/** Compiling takes 12 seconds on two idle cores. */
const COMPILE_MS = 5 * 60_000;

/**
 * Finds or brings the pinned stripe-mock, which is Stripe's API with its own schema, but without a memory: STRIPE_MOCK_BIN, the
 * cache, or compiled by Go into the cache. It does not tell its version, so one on PATH is not taken. May be called by
 * several processes at once.
 * @param {{ cacheDir: string, log: Log, env?: NodeJS.ProcessEnv }} options
 * @returns {Promise<string>} absolute path of the program
 * @throws {Error} that says what is missing and how to get it
 */
export async function bringStripeMock({ cacheDir, log, env = process.env }) {
  if (env.STRIPE_MOCK_BIN) return checkedSetting(resolve(env.STRIPE_MOCK_BIN));
  const version = await pinnedVersion();
  const cached = resolve(cacheDir, `stripe-mock-${version}`, 'stripe-mock');
  if (existsSync(cached)) return cached;
  const brought = withLock(resolve(cacheDir, 'stripe-mock.lock'), async () =>
    existsSync(cached) ? cached : compile(cached, version, { log, env }),
  );
  return reportWhile(log, 'stripe-mock', brought);
}

async function pinnedVersion() {
  const text = await readFile(join(MODULE, 'go.mod'), 'utf8');
  const version = /github\.com\/stripe\/stripe-mock v(\S+)/.exec(text)?.[1];
  if (!version) throw new Error(`${MODULE}/go.mod names no version of ${PACKAGE}`);
  return version;
}

/** @param {string} program */
async function checkedSetting(program) {
  const { ok, problem } = await run(program, ['-version'], { timeoutMs: 20_000 });
  if (!ok) throw new Error(`STRIPE_MOCK_BIN: ${problem}; set it to a stripe-mock, or unset it`);
  return program;
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
  log(`stripe-mock: compiling ${version} with Go, once`);
  const began = performance.now();
  try {
    const goEnv = { ...env, GOBIN: building, GOWORK: 'off', CGO_ENABLED: '0' };
    const options = { cwd: MODULE, env: goEnv, timeoutMs: COMPILE_MS };
    const { ok, problem } = await run('go', ['install', '-mod=readonly', '-trimpath', PACKAGE], options);
    if (!ok) throw new Error(howToGetIt(version, problem));
    await mkdir(resolve(folder, '..'), { recursive: true });
    await rm(folder, { recursive: true, force: true });
    await rename(building, folder);
  } finally {
    await rm(building, { recursive: true, force: true });
  }
  log(`stripe-mock: ${cached} after ${seconds(began)} s`);
  return cached;
}

/**
 * @param {string} version
 * @param {string} tried
 */
function howToGetIt(version, tried) {
  return (
    `stripe-mock ${version} is not on this machine, and could not be compiled. It is needed to test what is sent to ` +
    `Stripe, not to run the project. Either set STRIPE_MOCK_BIN to the path of one from ` +
    `https://github.com/stripe/stripe-mock/releases/tag/v${version}, or install Go 1.22 or later and try again.\n` +
    `tried: ${tried}`
  );
}

if (isMain(import.meta.url)) console.log(await bringStripeMock({ cacheDir: projectCache, log: toStderr }));
