import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isMain, toStderr } from './lib/main.mjs';
import { reportWhile } from './lib/progress.mjs';
import { cacheDir } from './lib/root.mjs';
import { mustRun } from './lib/run.mjs';
import { machineName, unpackPrograms } from './lib/unpacked-package.mjs';

/** A dump is made by the server's own release or a later one, so the server comes along. */
const PROGRAMS = ['initdb', 'pg_ctl', 'postgres', 'pg_dump', 'pg_restore', 'psql'];
const INSTALLED = '/usr/lib/postgresql';

/**
 * Finds or brings pg_dump and pg_restore with a PostgreSQL of the same release, as Debian and Ubuntu package them: what is
 * installed, or the packages unpacked into the cache. Nothing is installed, and nothing is started.
 * @param {{ cacheDir: string, log: import('./lib/progress.mjs').Log }} options
 * @returns {Promise<string>} the folder with `bin`
 * @throws {Error} that says how to get them
 */
export async function bringPgDump({ cacheDir, log }) {
  const installed = (await readdir(INSTALLED).catch(() => [])).sort((a, b) => Number(b) - Number(a));
  const folder = resolve(cacheDir, `postgresql-${await machineName()}`);
  const found = [...installed.map((release) => join(INSTALLED, release)), folder].find(isWhole);
  if (found) return found;
  try {
    await reportWhile(log, 'postgresql', unpack(folder, log));
  } catch (cause) {
    throw new Error(
      'pg_dump and a PostgreSQL of its release are not there. Debian, Ubuntu: apt-get install postgresql',
      {
        cause,
      },
    );
  }
  return folder;
}

/** @param {string} folder */
const isWhole = (folder) => PROGRAMS.every((name) => existsSync(join(folder, 'bin', name)));

/**
 * @param {string} folder
 * @param {import('./lib/progress.mjs').Log} log
 */
async function unpack(folder, log) {
  const { stdout } = await mustRun('apt-cache', ['depends', '--important', 'postgresql']);
  const release = /Depends: postgresql-(\d+)/.exec(stdout)?.[1];
  if (!release) throw new Error(`the package postgresql does not say which release it is: ${stdout}`);
  log(`postgresql: downloading release ${release} (about 20 MB); it is unpacked, not installed`);
  const programs = PROGRAMS.map((name) => `usr/lib/postgresql/${release}/bin/${name}`);
  await unpackPrograms({ names: [`postgresql-${release}`, `postgresql-client-${release}`], programs, folder, log });
}

if (isMain(import.meta.url)) console.log(await bringPgDump({ cacheDir, log: toStderr }));
