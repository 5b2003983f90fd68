import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { findOnPath } from './find-on-path.mjs';
import { withLock } from './lock.mjs';
import { reportWhile } from './progress.mjs';
import { mustRun, run } from './run.mjs';
import { machineName, unpackPrograms } from './unpacked-package.mjs';

/** @typedef {import('./progress.mjs').Log} Log */

/**
 * A program that has the same name as its package, in Debian and in Homebrew.
 * @typedef {object} Program
 * @property {string} name of program and package
 * @property {string} variable of the environment that may name another one
 * @property {string} path in Debian's package
 * @property {string[]} [beside] further packages of Debian that it does not work without
 * @property {string[]} [also] paths of other programs in it that are to be had beside it
 * @property {string[]} tellVersion arguments
 * @property {RegExp} version what it then says on standard output
 * @property {string} size of the download
 * @property {string} howToGet for people
 */

/** @typedef {{ cacheDir: string, log: Log, env?: NodeJS.ProcessEnv }} Options */

/**
 * Finds or brings a program: its variable, PATH, the cache, Debian's or Ubuntu's package unpacked into the cache, Homebrew.
 * Nothing is installed on Debian, and nothing is started. May be called by several processes at once.
 * @param {Program} wanted
 * @param {Options} options
 * @returns {Promise<string>} absolute path of the program
 * @throws {Error} that says what was tried and how to get one
 */
export async function bringProgram(wanted, { cacheDir, log, env = process.env }) {
  const { name, variable } = wanted;
  const setting = env[variable];
  if (setting) return checkedSetting(wanted, resolve(setting));
  const inPath = await usable(wanted, findOnPath(name, env), log);
  if (inPath) return inPath;
  const folder = resolve(cacheDir, `${name}-${await machineName()}`);
  const cached = join(folder, 'bin', name);
  if (await usable(wanted, cached, log)) return cached;
  return withLock(
    resolve(cacheDir, `${name}.lock`),
    async () => (await usable(wanted, cached, log)) ?? fetchProgram(wanted, folder, log),
  );
}

/**
 * @param {Program} wanted
 * @param {string} program
 */
async function checkedSetting(wanted, program) {
  const problem = await whyUnusable(wanted, program);
  if (problem) throw new Error(`${wanted.variable}: ${problem}; set it to ${wanted.name}, or unset it`);
  return program;
}

/**
 * @param {Program} wanted
 * @param {string} folder
 * @param {Log} log
 */
async function fetchProgram(wanted, folder, log) {
  const failures = [];
  for (const attempt of [fromDebianPackage, fromHomebrew]) {
    try {
      const program = await reportWhile(log, wanted.name, attempt(wanted, folder, log));
      const problem = program && (await whyUnusable(wanted, program));
      if (problem) throw new Error(problem);
      if (program) return program;
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  const tried = failures.length ? `\ntried: ${failures.join('\ntried: ')}` : '';
  throw new Error(
    `no ${wanted.name} on this machine, and none could be brought. Install one (${wanted.howToGet}) so that it is on ` +
      `PATH, or set ${wanted.variable} to its path.${tried}`,
  );
}

/**
 * @param {Program} wanted
 * @param {string} folder
 * @param {Log} log
 */
async function fromDebianPackage({ also = [], beside = [], name, path, size }, folder, log) {
  if (!findOnPath('apt-get', process.env) || !findOnPath('dpkg-deb', process.env)) return undefined;
  log(`${name}: downloading the package of this system (about ${size}); it is unpacked, not installed`);
  await unpackPrograms({ names: [name, ...beside], programs: [path, ...also], folder, log });
  return join(folder, 'bin', basename(path));
}

/**
 * @param {Program} wanted
 * @param {string} _folder
 * @param {Log} log
 */
async function fromHomebrew({ name }, _folder, log) {
  if (!findOnPath('brew', process.env)) return undefined;
  log(`${name}: brew install ${name}`);
  await mustRun('brew', ['install', '--quiet', name], { timeoutMs: 900_000 });
  const { stdout } = await mustRun('brew', ['--prefix', name]);
  return join(stdout.trim(), 'bin', name);
}

/**
 * @param {Program} wanted
 * @param {string | undefined} program
 * @param {Log} log
 */
async function usable(wanted, program, log) {
  if (!program || !existsSync(program)) return undefined;
  const problem = await whyUnusable(wanted, program);
  if (problem) log(`${wanted.name}: passing over ${problem}`);
  return problem ? undefined : program;
}

/**
 * @param {Program} wanted
 * @param {string} program
 */
async function whyUnusable({ tellVersion, version }, program) {
  const { ok, problem, stdout } = await run(program, tellVersion, { timeoutMs: 20_000 });
  // wrk tells its version and ends with 1.
  if (version.test(stdout)) return undefined;
  return ok ? `${program} does not tell its version` : problem;
}
