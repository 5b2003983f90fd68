import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { findOnPath } from './lib/find-on-path.mjs';
import { withLock } from './lib/lock.mjs';
import { isMain, toStderr } from './lib/main.mjs';
import { reportWhile } from './lib/progress.mjs';
import { cacheDir as projectCache } from './lib/root.mjs';
import { mustRun, run } from './lib/run.mjs';
import { machineName, unpackPrograms } from './lib/unpacked-package.mjs';

/** @typedef {import('./lib/progress.mjs').Log} Log */

/**
 * Finds or brings a real nginx: NGINX_BIN, PATH, the cache, Debian's or Ubuntu's package unpacked into the cache,
 * Homebrew. Nothing is installed on Debian, and nothing is started. May be called by several processes at once.
 * @param {{ cacheDir: string, log: Log, env?: NodeJS.ProcessEnv }} options
 * @returns {Promise<string>} absolute path of the program
 * @throws {Error} that says what was tried and how to get one
 */
export async function bringNginx({ cacheDir, log, env = process.env }) {
  if (env.NGINX_BIN) return checkedSetting(resolve(env.NGINX_BIN));
  const inPath = await usable(findOnPath('nginx', env), log);
  if (inPath) return inPath;
  const folder = resolve(cacheDir, `nginx-${await machineName()}`);
  const cached = join(folder, 'bin', 'nginx');
  if (await usable(cached, log)) return cached;
  return withLock(resolve(cacheDir, 'nginx.lock'), async () => (await usable(cached, log)) ?? fetchNginx(folder, log));
}

/** @param {string} program */
async function checkedSetting(program) {
  const problem = await whyUnusable(program);
  if (problem) throw new Error(`NGINX_BIN: ${problem}; set it to an nginx, or unset it`);
  return program;
}

/**
 * @param {string} folder
 * @param {Log} log
 */
async function fetchNginx(folder, log) {
  const failures = [];
  for (const attempt of [fromDebianPackages, fromHomebrew]) {
    try {
      const program = await reportWhile(log, 'nginx', attempt(folder, log));
      const problem = program && (await whyUnusable(program));
      if (problem) throw new Error(problem);
      if (program) return program;
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  const tried = failures.length ? `\ntried: ${failures.join('\ntried: ')}` : '';
  throw new Error(
    `no nginx on this machine, and none could be brought. Install one (Debian, Ubuntu: apt-get install nginx-light; ` +
      `Fedora: dnf install nginx; Alpine: apk add nginx; macOS: brew install nginx) so that it is on PATH, or set ` +
      `NGINX_BIN to its path.${tried}`,
  );
}

/**
 * @param {string} folder
 * @param {Log} log
 */
async function fromDebianPackages(folder, log) {
  if (!findOnPath('apt-get', process.env) || !findOnPath('dpkg-deb', process.env)) return undefined;
  log('nginx: downloading the package of this system (about 1 MB); it is unpacked, not installed');
  await unpackPrograms({ names: ['nginx'], programs: ['usr/sbin/nginx'], folder, log });
  return join(folder, 'bin', 'nginx');
}

/**
 * @param {string} _folder
 * @param {Log} log
 */
async function fromHomebrew(_folder, log) {
  if (!findOnPath('brew', process.env)) return undefined;
  log('nginx: brew install nginx');
  await mustRun('brew', ['install', '--quiet', 'nginx'], { timeoutMs: 900_000 });
  const { stdout } = await mustRun('brew', ['--prefix', 'nginx']);
  return join(stdout.trim(), 'bin', 'nginx');
}

/**
 * @param {string | undefined} program
 * @param {Log} log
 */
async function usable(program, log) {
  if (!program || !existsSync(program)) return undefined;
  const problem = await whyUnusable(program);
  if (problem) log(`nginx: passing over ${problem}`);
  return problem ? undefined : program;
}

/** @param {string} program */
async function whyUnusable(program) {
  const { ok, problem, stderr } = await run(program, ['-v'], { timeoutMs: 20_000 });
  if (!ok) return problem;
  return /nginx version/.test(stderr) ? undefined : `${program} does not tell its version`;
}

if (isMain(import.meta.url)) console.log(await bringNginx({ cacheDir: projectCache, log: toStderr }));
