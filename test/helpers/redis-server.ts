import { bringRedis } from './bring.ts';
import { Child } from './child.ts';
import { onFreePort } from './free-port.ts';
import { tempDir } from './temp-dir.ts';

export interface RedisOptions {
  /** Default true; false keeps nothing over a restart. */
  appendonly?: boolean;
  /** More of redis-server's own flags. */
  args?: string[];
  /** Where it keeps its data; default a new folder. */
  dir?: string;
}

/** A real redis-server on a loopback port. */
export class RedisServer {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly dir: string;
  readonly #program: string;
  readonly #flags: string[];
  #child: Child;

  private constructor(program: string, port: number, dir: string, flags: string[], child: Child) {
    this.port = port;
    this.dir = dir;
    this.#program = program;
    this.#flags = flags;
    this.#child = child;
  }

  static async start(program: string, dir: string, flags: string[]): Promise<RedisServer> {
    const start = async (port: number) =>
      new RedisServer(program, port, dir, flags, await launch(program, port, dir, flags));
    return onFreePort(start, (error) => /Address already in use/.test(String(error)));
  }

  get url(): string {
    return `redis://${this.host}:${this.port}`;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Ends it in order; what it keeps stays in `dir` as long as the test runs. */
  async stop(): Promise<void> {
    await this.#child.stop();
  }

  /** Sends a signal, by default the one that gives it no time; resolves when it has ended, or at once for SIGSTOP and SIGCONT. */
  kill(signal?: NodeJS.Signals): Promise<void> {
    return this.#child.kill(signal);
  }

  /** Starts it again on the same port and folder, ending it first if it runs. */
  async restart(): Promise<void> {
    await this.stop();
    this.#child = await launch(this.#program, this.port, this.dir, this.#flags);
  }
}

async function launch(program: string, port: number, dir: string, flags: string[]): Promise<Child> {
  const args = ['--bind', '127.0.0.1', '--port', String(port), '--dir', dir, '--daemonize', 'no', ...flags];
  const child = new Child(program, { args, cwd: dir });
  await child.waitForLine(/Ready to accept connections/);
  return child;
}

/** As the product wants it: append-only file on, nothing evicted. Ended with the test, or with the file that starts it in a `beforeAll`. */
export async function startRedis({ appendonly = true, args = [], dir }: RedisOptions = {}): Promise<RedisServer> {
  const keeping = ['--appendonly', appendonly ? 'yes' : 'no', '--save', '', '--maxmemory-policy', 'noeviction'];
  return RedisServer.start(await bringRedis(), dir ?? (await tempDir('redis')), [...keeping, ...args]);
}
