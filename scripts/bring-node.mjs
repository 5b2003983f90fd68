import { existsSync } from 'node:fs';
import { readFile, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { withLock } from './lib/lock.mjs';
import { isMain, toStderr } from './lib/main.mjs';
import { npmInstall } from './lib/npm-install.mjs';
import { reportWhile, seconds } from './lib/progress.mjs';
import { cacheDir as projectCache, projectRoot } from './lib/root.mjs';
import { mustRun } from './lib/run.mjs';

/** @typedef {import('./lib/progress.mjs').Log} Log */

/**
 * Finds or brings the Node of the image, from npm into the cache: what the image runs is tried and measured with it, whatever Node is
 * installed. May be called by several processes at once.
 * @param {{ cacheDir: string, log: Log }} options
 * @returns {Promise<string>} absolute path of its program
 * @throws {Error} that says why it could not be had
 */
export async function bringNode({ cacheDir, log }) {
  const version = await imageVersion();
  if (process.version === `v${version}`) return process.execPath;
  const folder = resolve(cacheDir, `node-${version}`);
  if (!existsSync(folder)) {
    const brought = withLock(`${folder}.lock`, async () => existsSync(folder) || (await install(folder, version, log)));
    await reportWhile(log, 'Node', brought);
  }
  return programIn(folder);
}

const programIn = (/** @type {string} */ folder) => join(folder, 'node_modules', 'node', 'bin', 'node');

/** The Dockerfile is the only place that names it. */
async function imageVersion() {
  const [, version] = /^FROM node:(\d+\.\d+\.\d+)-/m.exec(await readFile(join(projectRoot, DOCKERFILE), 'utf8')) ?? [];
  if (!version) throw new Error(`${DOCKERFILE} names no version of Node`);
  return version;
}

const DOCKERFILE = 'deploy/Dockerfile';

/**
 * Made aside and moved when it has said its version, so that what is there is whole.
 * @param {string} folder
 * @param {string} version
 * @param {Log} log
 */
async function install(folder, version, log) {
  const began = performance.now();
  const making = `${folder}.making-${process.pid}`;
  try {
    log(`Node: bringing ${version}, that of the image, from npm (about 120 MB)`);
    await npmInstall(making, `node@${version}`, dirname(process.execPath));
    const { stdout } = await mustRun(programIn(making), ['--version'], { timeoutMs: 60_000 });
    if (stdout.trim() !== `v${version}`) throw new Error(`this Node is ${stdout.trim()}, not v${version}`);
    await rename(making, folder);
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  log(`Node: ${folder} after ${seconds(began)} s`);
}

if (isMain(import.meta.url)) console.log(await bringNode({ cacheDir: projectCache, log: toStderr }));
