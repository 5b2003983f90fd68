import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { withLock } from './lib/lock.mjs';
import { isMain, toStderr } from './lib/main.mjs';
import { npmInstall } from './lib/npm-install.mjs';
import { reportWhile, seconds } from './lib/progress.mjs';
import { cacheDir as projectCache } from './lib/root.mjs';
import { mustRun } from './lib/run.mjs';

/** @typedef {import('./lib/progress.mjs').Log} Log */

/** The OpenClaw that the plugin is tried with. The only place that names it. */
const OPENCLAW_VERSION = '2026.9.6';
/** OpenClaw needs 24.16 or later; the project itself does not. Both together are 768 MB on disk. */
const NODE_MAJOR = '24';

/**
 * @typedef {object} OpenClaw
 * @property {string} node absolute path of the Node that runs it
 * @property {string} program absolute path of OpenClaw's own script, an argument of that Node
 * @property {string} version
 */

/**
 * Finds or brings the pinned OpenClaw with a Node that can run it, from npm into the cache; nothing of it is a dependency
 * of the project. May be called by several processes at once.
 * @param {{ cacheDir: string, log: Log }} options
 * @returns {Promise<OpenClaw>}
 * @throws {Error} that says which of the two could not be had, and why
 */
export async function bringOpenClaw({ cacheDir, log }) {
  const folder = resolve(cacheDir, `openclaw-${OPENCLAW_VERSION}-node${NODE_MAJOR}`);
  if (!existsSync(folder)) {
    const lock = resolve(cacheDir, 'openclaw.lock');
    const brought = withLock(lock, async () => existsSync(folder) || (await install(folder, log)));
    await reportWhile(log, 'OpenClaw', brought);
  }
  return { ...inFolder(folder), version: OPENCLAW_VERSION };
}

/** @param {string} folder */
const inFolder = (folder) => ({
  node: join(folder, 'runtime', 'node_modules', 'node', 'bin', 'node'),
  program: join(folder, 'app', 'node_modules', 'openclaw', 'openclaw.mjs'),
});

/**
 * Made aside and moved when it has said its version, so that what is there is whole.
 * @param {string} folder
 * @param {Log} log
 */
async function install(folder, log) {
  const began = performance.now();
  const making = `${folder}.making-${process.pid}`;
  try {
    const { node, program } = inFolder(making);
    log(`OpenClaw: bringing Node ${NODE_MAJOR} from npm (about 120 MB)`);
    await npmInstall(join(making, 'runtime'), `node@${NODE_MAJOR}`, dirname(process.execPath));
    log(`OpenClaw: bringing openclaw ${OPENCLAW_VERSION} from npm (about 650 MB on disk)`);
    await npmInstall(join(making, 'app'), `openclaw@${OPENCLAW_VERSION}`, dirname(node));
    const { stdout } = await mustRun(node, [program, '--version'], { timeoutMs: 60_000 });
    if (!stdout.includes(OPENCLAW_VERSION)) throw new Error(`openclaw is ${stdout.trim()}, not ${OPENCLAW_VERSION}`);
    await rename(making, folder);
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  log(`OpenClaw: ${folder} after ${seconds(began)} s`);
}

if (isMain(import.meta.url)) {
  const { node, program } = await bringOpenClaw({ cacheDir: projectCache, log: toStderr });
  console.log(`${node} ${program}`);
}
