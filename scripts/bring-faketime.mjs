import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { unpackDebianPackages } from './lib/debian.mjs';
import { findOnPath } from './lib/find-on-path.mjs';
import { withLock } from './lib/lock.mjs';
import { isMain, toStderr } from './lib/main.mjs';
import { reportWhile } from './lib/progress.mjs';
import { cacheDir as projectCache } from './lib/root.mjs';
import { run } from './lib/run.mjs';
import { machineName } from './lib/unpacked-package.mjs';

/** @typedef {import('./lib/progress.mjs').Log} Log */

const NAME = 'libfaketime.so.1';

/**
 * Finds or brings libfaketime, which shows another wall clock to a program that is started with it in LD_PRELOAD:
 * LIBFAKETIME, the cache, Debian's or Ubuntu's package unpacked into the cache. May be called by several processes at once.
 * @param {{ cacheDir: string, log: Log, env?: NodeJS.ProcessEnv }} options
 * @returns {Promise<string>} absolute path of the library
 * @throws {Error} that says how to get one
 */
export async function bringFaketime({ cacheDir, log, env = process.env }) {
  if (env.LIBFAKETIME) return checked(resolve(env.LIBFAKETIME), 'LIBFAKETIME: ');
  const folder = resolve(cacheDir, `faketime-${await machineName()}`);
  const cached = await inFolder(folder);
  if (cached) return checked(cached);
  return withLock(resolve(cacheDir, 'faketime.lock'), async () =>
    checked((await inFolder(folder)) ?? (await fromDebianPackage(folder, log))),
  );
}

/**
 * @param {string} library
 * @param {string} [prefix]
 */
async function checked(library, prefix = '') {
  const env = { ...process.env, LD_PRELOAD: library, FAKETIME: '2001-02-03 04:05:06', TZ: 'UTC' };
  const { stdout } = await run('date', ['+%F'], { env, timeoutMs: 20_000 });
  if (!stdout.startsWith('2001-02-03')) throw new Error(`${prefix}${library} shows no other time; ${HOW}`);
  return library;
}

const HOW =
  'install libfaketime (Debian, Ubuntu: apt-get install libfaketime; Fedora: dnf install libfaketime) and set LIBFAKETIME ' +
  `to its ${NAME}`;

/** @param {string} folder */
async function inFolder(folder) {
  if (!existsSync(folder)) return undefined;
  const files = await readdir(folder, { recursive: true });
  const found = files.find((file) => file.endsWith(`/${NAME}`));
  return found && join(folder, found);
}

/**
 * @param {string} folder
 * @param {Log} log
 */
async function fromDebianPackage(folder, log) {
  if (!findOnPath('apt-get', process.env) || !findOnPath('dpkg-deb', process.env))
    throw new Error(`no ${NAME}; ${HOW}`);
  const into = `${folder}.building-${process.pid}`;
  const scratch = `${folder}.scratch-${process.pid}`;
  try {
    const unpacking = unpackDebianPackages({ names: ['libfaketime'], programs: [], into, scratch, log });
    await reportWhile(log, 'libfaketime', unpacking);
    await rm(folder, { recursive: true, force: true });
    await rename(into, folder);
  } finally {
    await rm(into, { recursive: true, force: true });
    await rm(scratch, { recursive: true, force: true });
  }
  const library = await inFolder(folder);
  if (!library) throw new Error(`the package libfaketime has no ${NAME}; ${HOW}`);
  return library;
}

if (isMain(import.meta.url)) console.log(await bringFaketime({ cacheDir: projectCache, log: toStderr }));
