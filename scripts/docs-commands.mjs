// Tries the commands that the documentation prints, as a newcomer types them: every Markdown file that has commands
// marked for it (see lib/marked-commands.mjs) gets a fresh clone, with what is not yet committed on top, and they run in
// it one after the other. `node scripts/docs-commands.mjs [file…]`
import { spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { markedCommands } from './lib/marked-commands.mjs';
import { seconds } from './lib/progress.mjs';
import { projectRoot } from './lib/root.mjs';
import { mustRun } from './lib/run.mjs';

/** @typedef {import('./lib/marked-commands.mjs').MarkedCommand} MarkedCommand */

const GRACE_MS = 20_000;

const files = process.argv.length > 2 ? process.argv.slice(2) : await list('--cached', '--others', '*.md');
let tried = 0;
let failed = 0;
for (const file of files) await tryFile(file);
console.log(`${tried} documented commands tried, ${failed} failed`);
if (tried === 0) console.error('no command in the documentation is marked with <!-- ci: run -->');
process.exit(tried === 0 || failed ? 1 : 0);

/** @param {string} file */
async function tryFile(file) {
  const commands = read(file, await readFile(join(projectRoot, file), 'utf8'));
  if (commands.length === 0) return;
  const temp = await mkdtemp(join(tmpdir(), 'openclaw-rating-docs-'));
  /** @type {Shell[]} */
  const background = [];
  try {
    const clone = await cloneInto(join(temp, 'project'));
    for (const command of commands) await tryCommand(file, command, clone, background);
  } finally {
    for (const shell of background) await shell.end();
    await rm(temp, { recursive: true, force: true });
  }
}

/**
 * @param {string} file
 * @param {string} text
 */
function read(file, text) {
  try {
    return markedCommands(text);
  } catch (error) {
    throw new Error(`${file}, ${error instanceof Error ? error.message : error}`);
  }
}

/**
 * @param {string} file
 * @param {MarkedCommand} command
 * @param {string} clone
 * @param {Shell[]} background
 */
async function tryCommand(file, command, clone, background) {
  tried++;
  const began = performance.now();
  const shell = new Shell(command.text, clone);
  if (command.background) background.push(shell);
  const problem = command.background ? await shell.ready(command) : await shell.done(command);
  console.log(
    `${problem ? 'FAILED' : 'ok'}  ${file}:${command.line}  ${firstLine(command.text)}  (${seconds(began)} s)`,
  );
  if (!problem) return;
  failed++;
  console.log(`${problem}; it said:\n${shell.output.slice(-4_000)}`);
}

class Shell {
  output = '';
  /** @type {Promise<number | NodeJS.Signals | null>} */
  exited;
  #child;

  /**
   * @param {string} text
   * @param {string} cwd
   */
  constructor(text, cwd) {
    // A process group of its own: what the command has started in turn ends with it.
    const options = { cwd, detached: true, stdio: /** @type {const} */ (['ignore', 'pipe', 'pipe']) };
    this.#child = spawn('bash', ['-euo', 'pipefail', '-c', text], options);
    this.exited = new Promise((resolve) => this.#child.once('close', (code, signal) => resolve(signal ?? code)));
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk) => {
        this.output += chunk;
      });
    }
  }

  /**
   * @param {MarkedCommand} command
   * @returns {Promise<string | undefined>} what is wrong
   */
  async done({ exit, expect, timeout }) {
    const timer = setTimeout(() => this.#signal('SIGKILL'), timeout * 1000);
    const code = await this.exited;
    clearTimeout(timer);
    if (code === 'SIGKILL') return `it did not end within ${timeout} s`;
    if (code !== exit) return `it ended with ${code} instead of ${exit}`;
    if (expect && !this.output.includes(expect)) return `it did not print "${expect}"`;
  }

  /**
   * @param {MarkedCommand} command
   * @returns {Promise<string | undefined>} what is wrong
   */
  async ready({ expect = '', timeout }) {
    /** @type {NodeJS.Timeout | undefined} */
    let poll;
    const seen = new Promise((resolve) => {
      poll = setInterval(() => this.output.includes(expect) && resolve(undefined), 50);
    });
    const late = new Promise((resolve) =>
      setTimeout(resolve, timeout * 1000, `no "${expect}" within ${timeout} s`).unref(),
    );
    const problem = await Promise.race([
      seen,
      late,
      this.exited.then((code) => `it ended with ${code} before "${expect}"`),
    ]);
    clearInterval(poll);
    return /** @type {string | undefined} */ (problem);
  }

  /** As Ctrl-C does; killed when that does not help. */
  async end() {
    this.#signal('SIGINT');
    const timer = setTimeout(() => this.#signal('SIGKILL'), GRACE_MS);
    await this.exited;
    clearTimeout(timer);
  }

  /** @param {NodeJS.Signals} signal */
  #signal(signal) {
    if (this.#child.pid && this.#child.exitCode === null) process.kill(-this.#child.pid, signal);
  }
}

/** @param {string} folder */
async function cloneInto(folder) {
  await mustRun('git', ['clone', '--quiet', projectRoot, folder]);
  for (const file of await list('--modified', '--others')) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await copyFile(join(projectRoot, file), join(folder, file)).catch(() => undefined);
  }
  for (const file of await list('--deleted')) await rm(join(folder, file), { force: true });
  return folder;
}

/**
 * The project's files, without what git ignores.
 * @param {string[]} what options and patterns of `git ls-files`
 */
async function list(...what) {
  const { stdout } = await mustRun('git', ['ls-files', '-z', '--exclude-standard', ...what], { cwd: projectRoot });
  return stdout.split('\0').filter(Boolean);
}

/** @param {string} text */
function firstLine(text) {
  return text.split('\n', 1)[0];
}
