import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Child } from '../../helpers/child.ts';
import { onFreePort } from '../../helpers/free-port.ts';
import { startProcess } from '../../helpers/process.ts';

const LISTENING = /"url":"(http:[^"]+)"/;
const START_MS = 20_000;
const STARTS = 8;
const AGAIN_MS = 200;

const isTaken = (error: unknown) => / is in use; set /.test(String(error));

export interface ProgramOptions {
  /** Of a copy of the compiled programs. */
  root: string;
  script: string;
  env: Record<string, string>;
  /** The variable that says where it listens. The same at every start: a worker's name as a reader has it in it. */
  portVariable: 'PORT' | 'BILLING_PORT';
}

/** One of the services as a process that is killed and started again. */
export class Program {
  readonly #options: ProgramOptions;
  readonly #port: number;
  /** Ends that nobody asked for: there must be none. */
  readonly deaths: string[] = [];
  #child: Child | undefined;
  #starting: Promise<void> | undefined;
  #kills = 0;
  #url = '';

  private constructor(options: ProgramOptions, port: number) {
    this.#options = options;
    this.#port = port;
  }

  static async start(options: ProgramOptions): Promise<Program> {
    const start = async (port: number) => {
      const program = new Program(options, port);
      await program.up();
      return program;
    };
    return onFreePort(start, isTaken);
  }

  get isUp(): boolean {
    return this.#child !== undefined;
  }

  get url(): string {
    return this.#url;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** How often it was ended: a call during which this changed may be without an answer. */
  get kills(): number {
    return this.#kills;
  }

  /** What it said since its last start. */
  get output(): string[] {
    return this.#child?.output ?? [];
  }

  /** Resolves when it listens, and starts it if nobody has. */
  up(): Promise<void> {
    if (this.isUp) return Promise.resolve();
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  /** `SIGKILL` gives it no time, `SIGTERM` lets it end in order. Resolves when it has ended; it stays down until `up`. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#starting;
    const child = this.#child;
    if (!child) return;
    this.#kills++;
    this.#child = undefined;
    await child.kill(signal);
  }

  /** It cannot start while what it needs is away, and is started until it can. */
  async #start(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#launch();
      } catch (error) {
        // Not started yet, it can be had on another port.
        if (tries === STARTS || (this.#kills === 0 && isTaken(error))) throw error;
        await sleep(AGAIN_MS * tries);
      }
    }
  }

  async #launch(): Promise<void> {
    const { env, portVariable, root, script } = this.#options;
    const child = await startProcess({
      script: join(root, 'dist', script),
      cwd: root,
      env: { ...env, [portVariable]: String(this.#port) },
    });
    try {
      this.#url = LISTENING.exec(await child.waitForLine(LISTENING, START_MS))?.[1] ?? '';
    } catch (error) {
      await child.kill();
      throw error;
    }
    this.#child = child;
    void child.exited.then((exit) => {
      if (this.#child !== child) return;
      this.#child = undefined;
      this.deaths.push(`${script} ended by itself (${JSON.stringify(exit)}): ${child.output.slice(-10).join('\n')}`);
    });
  }
}
