import { spawn } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { withLock } from './lib/lock.mjs';
import { isMain, toStderr } from './lib/main.mjs';
import { reportWhile } from './lib/progress.mjs';
import { projectRoot } from './lib/root.mjs';

/** @typedef {import('./lib/progress.mjs').Log} Log */

const OLDEST_NODE = [20, 15];

/**
 * Installs the dependencies of package-lock.json when they are missing or older than it. Uses nothing but Node itself.
 * Two starts at once install once.
 * @param {{ log: Log, root?: string }} options
 * @throws {Error} when Node is too old, or npm fails
 */
export async function ensureDependencies({ log, root = projectRoot }) {
  checkNode(process.versions.node);
  if (await isCurrent(root)) return;
  await withLock(join(root, '.cache', 'install.lock'), async () => {
    if (await isCurrent(root)) return;
    log('installing the dependencies (npm ci); the first time this takes a minute or two');
    await reportWhile(log, 'npm ci', npmCi(root));
  });
}

/** @param {string} version as `process.versions.node` gives it */
export function checkNode(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_NODE;
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return;
  throw new Error(`Node ${OLDEST_NODE.join('.')} or later is needed; this is Node ${version}`);
}

/**
 * npm writes its own copy of the lockfile last, so one that is there and newer means an installation that was finished.
 * @param {string} root
 */
async function isCurrent(root) {
  const [wanted, installed] = await Promise.all(
    [join(root, 'package-lock.json'), join(root, 'node_modules', '.package-lock.json')].map((path) =>
      stat(path).catch(() => undefined),
    ),
  );
  if (!wanted) throw new Error(`${root} has no package-lock.json: the copy of the project is incomplete`);
  return installed !== undefined && installed.mtimeMs >= wanted.mtimeMs;
}

/**
 * @param {string} root
 * @returns {Promise<void>}
 */
function npmCi(root) {
  return new Promise((done, fail) => {
    const npm = spawn('npm', ['ci'], { cwd: root, stdio: ['ignore', 2, 2] });
    npm.once('error', (error) => fail(new Error(`npm cannot be started: ${error.message}; it comes with Node`)));
    npm.once('exit', (code, signal) => {
      if (code === 0) done();
      else fail(new Error(`npm ci ended with ${signal ?? code}; what it said is above`));
    });
  });
}

if (isMain(import.meta.url)) await ensureDependencies({ log: toStderr });
