import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 100;
/** A lock whose owner is not yet written in it, or that is just being taken over, is left alone for this long. */
const UNSETTLED_MS = 5_000;

/**
 * Runs `work` while no other process on this machine runs work under the same lock. A lock whose owner has died is
 * taken over. The lock is a folder, because making a folder is atomic everywhere.
 * @template T
 * @param {string} path of the lock; its parent folder is made if need be
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(path, work) {
  await mkdir(dirname(path), { recursive: true });
  while (!(await tryMkdir(path))) {
    if (await isAbandoned(path)) await takeAway(path);
    else await sleep(POLL_MS);
  }
  try {
    await writeFile(`${path}/owner`, String(process.pid));
    return await work();
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

/** @param {string} path */
async function tryMkdir(path) {
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false;
    throw error;
  }
}

/** @param {string} path */
async function isAbandoned(path) {
  const owner = Number(await readFile(`${path}/owner`, 'utf8').catch(() => ''));
  return owner > 0 ? !isAlive(owner) : isOld(path);
}

/**
 * Two waiters may find the same lock abandoned; the second must not take away the one that the first has made since.
 * So the taking away has a lock of its own, and looks again.
 * @param {string} path
 */
async function takeAway(path) {
  const guard = `${path}.takeover`;
  if (!(await tryMkdir(guard))) {
    if (await isOld(guard)) await rm(guard, { recursive: true, force: true });
    return sleep(POLL_MS);
  }
  try {
    if (!(await isAbandoned(path))) return;
    const aside = `${path}.abandoned-${process.pid}`;
    await rename(path, aside).catch(() => undefined);
    await rm(aside, { recursive: true, force: true });
  } finally {
    await rm(guard, { recursive: true, force: true });
  }
}

/** @param {string} path */
async function isOld(path) {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs > UNSETTLED_MS;
}

/** @param {number} pid */
export function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}
