import { existsSync } from 'node:fs';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { findOnPath } from './lib/find-on-path.mjs';
import { withLock } from './lib/lock.mjs';
import { isMain, toStderr } from './lib/main.mjs';
import { reportWhile } from './lib/progress.mjs';
import { cacheDir as projectCache } from './lib/root.mjs';
import { mustRun, run } from './lib/run.mjs';
import { machineName, unpackPrograms } from './lib/unpacked-package.mjs';

/** @typedef {import('./lib/progress.mjs').Log} Log */

/** Scripts that name their language in a first line (`#!lua`) exist since 7.0. */
const OLDEST = 7;
const PROGRAMS = ['redis-server', 'redis-cli', 'redis-benchmark'];

/**
 * Finds or brings a real redis-server, version 7.0 or later: REDIS_SERVER_BIN, PATH, the cache, Debian's or Ubuntu's
 * package unpacked into the cache, Homebrew. Nothing is started. May be called by several processes at once.
 * @param {{ cacheDir: string, log: Log, env?: NodeJS.ProcessEnv }} options
 * @returns {Promise<string>} absolute path of the program; `redisTool` gives those beside it
 * @throws {Error} that says what was tried and how to get one
 */
export async function bringRedis({ cacheDir, log, env = process.env }) {
  if (env.REDIS_SERVER_BIN) return checkedSetting(resolve(env.REDIS_SERVER_BIN));
  const inPath = await usable(findOnPath('redis-server', env), log);
  if (inPath) return inPath;
  const folder = resolve(cacheDir, `redis-${await machineName()}`);
  const cached = join(folder, 'bin', 'redis-server');
  if (await usable(cached, log)) return cached;
  return withLock(resolve(cacheDir, 'redis.lock'), async () => (await usable(cached, log)) ?? fetchRedis(folder, log));
}

/**
 * The path of redis-cli or redis-benchmark that belongs to a redis-server.
 * @param {string} server
 * @param {'redis-cli' | 'redis-benchmark'} name
 */
export function redisTool(server, name) {
  const beside = join(dirname(server), name);
  const found = existsSync(beside) ? beside : findOnPath(name, process.env);
  if (!found) throw new Error(`${name} is neither beside ${server} nor on PATH`);
  return found;
}

/** @param {string} server */
async function checkedSetting(server) {
  const problem = await whyUnusable(server);
  if (problem)
    throw new Error(`REDIS_SERVER_BIN: ${problem}; set it to a redis-server ${OLDEST}.0 or later, or unset it`);
  return server;
}

/**
 * @param {string} folder
 * @param {Log} log
 */
async function fetchRedis(folder, log) {
  const failures = [];
  for (const attempt of [fromDebianPackages, fromDebianInstall, fromHomebrew]) {
    try {
      const server = await reportWhile(log, 'redis-server', attempt(folder, log));
      const problem = server && (await whyUnusable(server));
      if (problem) throw new Error(problem);
      if (server) return server;
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  const tried = failures.length ? `\ntried: ${failures.join('\ntried: ')}` : '';
  throw new Error(
    `no redis-server ${OLDEST}.0 or later on this machine, and none could be brought. Install one (Debian, Ubuntu: ` +
      `apt-get install redis-server; Fedora: dnf install redis; Alpine: apk add redis; macOS: brew install redis) ` +
      `so that it is on PATH, or set REDIS_SERVER_BIN to its path.${tried}`,
  );
}

/**
 * @param {string} folder
 * @param {Log} log
 */
async function fromDebianPackages(folder, log) {
  if (!findOnPath('apt-get', process.env) || !findOnPath('dpkg-deb', process.env)) return undefined;
  log('redis-server: downloading the package of this system (about 1 MB); it is unpacked, not installed');
  const programs = PROGRAMS.map((name) => `usr/bin/${name}`);
  await unpackPrograms({ names: ['redis-server', 'redis-tools'], programs, folder, log });
  return join(folder, 'bin', 'redis-server');
}

/**
 * Only where unpacking did not work. Debian keeps the server's program in redis-tools under another name, and it is
 * the name it is called by that makes it the server: so no service is installed or started.
 * @param {string} folder
 * @param {Log} log
 */
async function fromDebianInstall(folder, log) {
  if (process.getuid?.() !== 0 || !findOnPath('apt-get', process.env)) return undefined;
  log('redis-server: installing the package redis-tools of this system');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await mustRun('apt-get', ['update'], { env });
  await mustRun('apt-get', ['install', '-y', '--no-install-recommends', 'redis-tools'], { env });
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, 'bin'), { recursive: true });
  await symlink('/usr/bin/redis-check-rdb', join(folder, 'bin', 'redis-server'));
  return join(folder, 'bin', 'redis-server');
}

/**
 * @param {string} _folder
 * @param {Log} log
 */
async function fromHomebrew(_folder, log) {
  if (!findOnPath('brew', process.env)) return undefined;
  log('redis-server: brew install redis');
  await mustRun('brew', ['install', '--quiet', 'redis'], { timeoutMs: 900_000 });
  const { stdout } = await mustRun('brew', ['--prefix', 'redis']);
  return join(stdout.trim(), 'bin', 'redis-server');
}

/**
 * @param {string | undefined} server
 * @param {Log} log
 */
async function usable(server, log) {
  if (!server || !existsSync(server)) return undefined;
  const problem = await whyUnusable(server);
  if (problem) log(`redis-server: passing over ${problem}`);
  return problem ? undefined : server;
}

/** @param {string} server */
async function whyUnusable(server) {
  const { ok, stdout, problem } = await run(server, ['--version'], { timeoutMs: 20_000 });
  if (!ok) return problem;
  const version = /\bv=(\d+)\.(\d+)/.exec(stdout);
  if (!version) return `${server} does not tell its version`;
  return Number(version[1]) < OLDEST ? `${server} is version ${version[1]}.${version[2]}` : undefined;
}

if (isMain(import.meta.url)) console.log(await bringRedis({ cacheDir: projectCache, log: toStderr }));
