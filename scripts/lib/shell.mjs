import { spawn } from 'node:child_process';

/** @typedef {import('./marked-commands.mjs').MarkedCommand} MarkedCommand */

const GRACE_MS = 20_000;
/** @type {Set<Shell>} */
const running = new Set();

process.on('exit', () => {
  for (const shell of running) shell.signal('SIGKILL');
});

/** A command line as a person types it, in a process group of its own: what it starts in turn ends with it. */
export class Shell {
  output = '';
  #child;
  #exited;

  /**
   * @param {string} text
   * @param {string} cwd
   */
  constructor(text, cwd) {
    const args = ['-euo', 'pipefail', '-c', text];
    this.#child = spawn('bash', args, { cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(this);
    /** @type {Promise<number | NodeJS.Signals | null>} */
    this.#exited = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => {
        running.delete(this);
        resolve(signal ?? code);
      });
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk) => {
        this.output += chunk;
      });
    }
  }

  /**
   * Waits for its end.
   * @param {Pick<MarkedCommand, 'exit' | 'expect' | 'timeout'>} command
   * @returns {Promise<string | undefined>} what is wrong
   */
  async done({ exit, expect, timeout }) {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.signal('SIGKILL');
    }, timeout * 1000);
    const code = await this.#exited;
    clearTimeout(timer);
    if (late) return `it did not end within ${timeout} s`;
    if (code !== exit) return `it ended with ${code} instead of ${exit}`;
    return expect && !this.output.includes(expect) ? `it did not print "${expect}"` : undefined;
  }

  /**
   * Waits until it has printed what is expected, and lets it go on.
   * @param {Pick<MarkedCommand, 'expect' | 'timeout'>} command
   * @returns {Promise<string | undefined>} what is wrong
   */
  ready({ expect = '', timeout }) {
    return new Promise((resolve) => {
      const settle = (/** @type {string | undefined} */ problem) => {
        clearInterval(poll);
        clearTimeout(timer);
        resolve(problem);
      };
      const poll = setInterval(() => this.output.includes(expect) && settle(undefined), 50);
      const timer = setTimeout(settle, timeout * 1000, `it did not print "${expect}" within ${timeout} s`);
      void this.#exited.then((code) => settle(`it ended with ${code} before it printed "${expect}"`));
    });
  }

  /** Ends it as Ctrl-C does, and kills it when that does not help. */
  async end() {
    this.signal('SIGINT');
    const timer = setTimeout(() => this.signal('SIGKILL'), GRACE_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  /** @param {NodeJS.Signals} signal */
  signal(signal) {
    if (!this.#child.pid || !running.has(this)) return;
    try {
      process.kill(-this.#child.pid, signal);
    } catch {
      // The whole group has ended; its output is still being read.
    }
  }
}
