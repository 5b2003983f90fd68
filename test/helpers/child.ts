import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { ProcessRegistry } from '../setup/registry.ts';
import { testRun } from '../setup/test-run.ts';
import { atTestEnd } from './test-end.ts';

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface ChildOptions {
  args?: string[];
  /** Exactly what the process sees, but for PATH and HOME, which are this process's unless given. */
  env?: Record<string, string>;
  cwd?: string;
}

const SHOWN_LINES = 20;
const LEAVES_RUNNING = new Set<NodeJS.Signals>(['SIGSTOP', 'SIGCONT']);

/** A real process: ended with the test (with the file, if started in a `beforeAll`), or by the reaper when that is killed. */
export class Child {
  /** Lines of standard output. */
  readonly stdout: string[] = [];
  /** Lines of standard output and error, in the order of their arrival. */
  readonly output: string[] = [];
  /** Resolves when it has ended and all it said has been read. */
  readonly exited: Promise<Exit>;
  readonly pid: number;
  readonly #process: ChildProcess;
  readonly #waiting = new Set<() => void>();

  /** Throws when the program cannot be started. */
  constructor(command: string, { args = [], env = {}, cwd }: ChildOptions = {}) {
    const { PATH = '', HOME = '' } = process.env;
    const child = spawn(command, args, { cwd, env: { PATH, HOME, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    child.on('error', () => undefined);
    if (child.pid === undefined) throw new Error(`${command} cannot be started`);
    this.#process = child;
    this.pid = child.pid;
    this.exited = once(child, 'close').then(([code, signal]) => ({ code, signal }));
    this.#collect(child.stdout, [this.stdout, this.output]);
    this.#collect(child.stderr, [this.output]);
    this.#endWithTest();
  }

  /** The first line of either stream that matches, also one that has already come. */
  waitForLine(pattern: RegExp, timeoutMs = 15_000): Promise<string> {
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        finish();
      };
      const fail = (what: string) => settle(() => reject(this.#failure(`${what} a line like ${pattern}`)));
      const look = () => {
        const line = this.output.find((candidate) => pattern.test(candidate));
        if (line !== undefined) settle(() => resolve(line));
      };
      const timer = setTimeout(() => fail(`${timeoutMs} ms without`), timeoutMs);
      this.#waiting.add(look);
      void this.exited.then(() => fail('the process ended without'));
      look();
    });
  }

  /** What `work` gives, unless the process ends before: then an error with what it said. */
  whileRunning<T>(work: Promise<T>): Promise<T> {
    const ended = this.exited.then(() => Promise.reject(this.#failure('the process ended')));
    return Promise.race([work, ended]);
  }

  /** Sends a signal; resolves when the process has ended, or at once for SIGSTOP and SIGCONT. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#process.kill(signal);
    if (!LEAVES_RUNNING.has(signal)) await this.exited;
  }

  /** Asks it to end, also when it is halted by SIGSTOP, and kills it when it has not after `graceMs`. */
  async stop(graceMs = 5_000): Promise<Exit> {
    for (const signal of ['SIGTERM', 'SIGCONT'] as const) this.#process.kill(signal);
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), graceMs);
    return this.exited.finally(() => clearTimeout(timer));
  }

  #failure(what: string): Error {
    return new Error(`${what}; it said:\n${this.output.slice(-SHOWN_LINES).join('\n')}`);
  }

  #collect(stream: NodeJS.ReadableStream, into: string[][]): void {
    createInterface({ input: stream }).on('line', (line) => {
      for (const lines of into) lines.push(line);
      for (const look of this.#waiting) look();
    });
  }

  #endWithTest(): void {
    const registry = new ProcessRegistry(testRun().dir);
    registry.add(this.pid);
    void this.exited.then(() => registry.remove(this.pid));
    atTestEnd(() => this.stop());
  }
}
