import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProgramOptions {
  args?: string[];
  /** Exactly what it sees, but for PATH and HOME. */
  env?: Record<string, string>;
  cwd?: string;
  /** It is ready when a line of its output matches, or this URL is answered with 200. */
  ready: RegExp | string;
}

const SHOWN_LINES = 20;
const READY_MS = 60_000;
const GRACE_MS = 5_000;

/** Those that run: they do not outlive this process, whatever ends it. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A process that this one has started, and ends by its id. */
export class Program {
  readonly pid: number;
  /** The line that said that it is ready. */
  readyLine = '';
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #exited: Promise<never>;
  #hear: (line: string) => void = () => {};

  private constructor(command: string, { args = [], cwd, env = {} }: ProgramOptions) {
    const { HOME = '', PATH = '' } = process.env;
    const child = spawn(command, args, { cwd, env: { PATH, HOME, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
    child.on('error', () => undefined);
    if (child.pid === undefined) throw new Error(`${command} cannot be started`);
    running.add(child);
    this.pid = child.pid;
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        if (this.#lines.push(line) > 10 * SHOWN_LINES) this.#lines.splice(0, 9 * SHOWN_LINES);
        this.#hear(line);
      });
    }
    this.#exited = once(child, 'close').then(() => {
      running.delete(child);
      throw new Error(`${command} has ended; it said:\n${this.said}`);
    });
    this.#exited.catch(() => undefined);
  }

  /** Resolves when it is ready. */
  static async start(command: string, options: ProgramOptions): Promise<Program> {
    const program = new Program(command, options);
    const { ready } = options;
    try {
      if (typeof ready === 'string') await program.#inTime(untilAnswered(ready), ready);
      else program.readyLine = await program.#inTime(program.#lineLike(ready), String(ready));
      return program;
    } catch (error) {
      await program.stop();
      throw error;
    }
  }

  /** The end of what it said. */
  get said(): string {
    return this.#lines.slice(-SHOWN_LINES).join('\n');
  }

  /** Says a line to it, and gives the next line that matches. */
  ask(text: string, pattern: RegExp): Promise<string> {
    this.#lines.length = 0;
    this.#child.stdin?.write(`${text}\n`);
    return this.#inTime(this.#lineLike(pattern), String(pattern));
  }

  /** Asks it to end, and kills it when it has not after five seconds. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), GRACE_MS);
    await this.#exited.catch(() => undefined);
    clearTimeout(timer);
  }

  #lineLike(pattern: RegExp): Promise<string> {
    return new Promise((resolve) => {
      this.#hear = (line) => {
        if (pattern.test(line)) resolve(line);
      };
      for (const line of this.#lines) this.#hear(line);
    });
  }

  async #inTime<T>(work: Promise<T>, what: string): Promise<T> {
    const over = new AbortController();
    const late = sleep(READY_MS, undefined, { signal: over.signal }).then(() => {
      throw new Error(`${READY_MS / 1_000} s without ${what}; it said:\n${this.said}`);
    });
    late.catch(() => undefined);
    try {
      return await Promise.race([work, this.#exited, late]);
    } finally {
      over.abort();
    }
  }
}

async function untilAnswered(url: string): Promise<void> {
  while (
    !(await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    ))
  )
    await sleep(50);
}
