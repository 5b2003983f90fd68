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

/** Without a font every letter is a box, and two machines with different ones draw different pictures. */
const PACKAGES = ['chromium', 'fonts-liberation'];
const PROGRAM = 'usr/lib/chromium/chromium';

/**
 * Finds or brings a real Chromium: CHROMIUM_BIN, PATH, the cache, Debian's package unpacked into the cache, Homebrew. Nothing is
 * installed on Debian, and nothing is started. May be called by several processes at once.
 * @param {{ cacheDir: string, log: Log, env?: NodeJS.ProcessEnv }} options
 * @returns {Promise<string>} absolute path of the program
 * @throws {Error} that says what was tried and how to get one
 */
export async function bringChromium({ cacheDir, log, env = process.env }) {
  if (env.CHROMIUM_BIN) return checkedSetting(resolve(env.CHROMIUM_BIN));
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    const inPath = await usable(findOnPath(name, env), log);
    if (inPath) return inPath;
  }
  const folder = resolve(cacheDir, `chromium-${await machineName()}`);
  const cached = join(folder, 'bin', 'chromium');
  if (await usable(cached, log)) return cached;
  return withLock(
    resolve(cacheDir, 'chromium.lock'),
    async () => (await usable(cached, log)) ?? fetchChromium(folder, log),
  );
}

/** @param {string} program */
async function checkedSetting(program) {
  const problem = await whyUnusable(program);
  if (problem) throw new Error(`CHROMIUM_BIN: ${problem}; set it to a Chromium, or unset it`);
  return program;
}

/**
 * @param {string} folder
 * @param {Log} log
 */
async function fetchChromium(folder, log) {
  const failures = [];
  for (const attempt of [fromDebianPackages, fromHomebrew]) {
    try {
      const program = await reportWhile(log, 'chromium', attempt(folder, log));
      const problem = program && (await whyUnusable(program));
      if (problem) throw new Error(problem);
      if (program) return program;
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  const tried = failures.length ? `\ntried: ${failures.join('\ntried: ')}` : '';
  throw new Error(
    `no Chromium on this machine, and none could be brought. Install one (Debian: apt-get install chromium; Fedora: dnf install ` +
      `chromium; macOS: brew install --cask chromium) so that it is on PATH, or set CHROMIUM_BIN to its path.${tried}`,
  );
}

/**
 * @param {string} folder
 * @param {Log} log
 */
async function fromDebianPackages(folder, log) {
  if (!findOnPath('apt-get', process.env) || !findOnPath('dpkg-deb', process.env)) return undefined;
  log('chromium: downloading the package of this system (about 90 MB); it is unpacked, not installed');
  await unpackPrograms({ names: PACKAGES, programs: [PROGRAM], folder, log });
  return join(folder, 'bin', 'chromium');
}

/**
 * @param {string} _folder
 * @param {Log} log
 */
async function fromHomebrew(_folder, log) {
  if (!findOnPath('brew', process.env)) return undefined;
  log('chromium: brew install --cask chromium');
  await mustRun('brew', ['install', '--quiet', '--cask', 'chromium'], { timeoutMs: 900_000 });
  return '/Applications/Chromium.app/Contents/MacOS/Chromium';
}

/**
 * @param {string | undefined} program
 * @param {Log} log
 */
async function usable(program, log) {
  if (!program || !existsSync(program)) return undefined;
  const problem = await whyUnusable(program);
  if (problem) log(`chromium: passing over ${problem}`);
  return problem ? undefined : program;
}

/** @param {string} program */
async function whyUnusable(program) {
  const { ok, problem, stdout } = await run(program, ['--version'], { timeoutMs: 30_000 });
  if (!ok) return problem;
  return /Chrom/.test(stdout) ? undefined : `${program} does not tell its version`;
}

if (isMain(import.meta.url)) console.log(await bringChromium({ cacheDir: projectCache, log: toStderr }));
