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
  /** More of what it sees of the environment. */
  env?: Record<string, string>;
}

/** A real redis-server on a loopback port. */
export class RedisServer {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly dir: string;
  readonly #launch: Launch;
  #child: Child;

  private constructor(port: number, dir: string, launch: Launch, child: Child) {
    this.port = port;
    this.dir = dir;
    this.#launch = launch;
    this.#child = child;
  }

  static async start(dir: string, launch: Launch): Promise<RedisServer> {
    const start = async (port: number) => new RedisServer(port, dir, launch, await launch(port));
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
    this.#child = await this.#launch(this.port);
  }
}

type Launch = (port: number) => Promise<Child>;

/** As the product wants it: append-only file on, nothing evicted. Ended with the test, or with the file that starts it in a `beforeAll`. */
export async function startRedis({ appendonly = true, args = [], dir, env }: RedisOptions = {}): Promise<RedisServer> {
  const [program, folder] = [await bringRedis(), dir ?? (await tempDir('redis'))];
  const keeping = ['--appendonly', appendonly ? 'yes' : 'no', '--save', '', '--maxmemory-policy', 'noeviction'];
  const flags = ['--bind', '127.0.0.1', '--dir', folder, '--daemonize', 'no', ...keeping, ...args];
  return RedisServer.start(folder, async (port) => {
    const child = new Child(program, { args: [...flags, '--port', String(port)], cwd: folder, ...(env && { env }) });
    await child.waitForLine(/Ready to accept connections/);
    return child;
  });
}
