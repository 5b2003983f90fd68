import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bringPostgres } from '../../helpers/bring.ts';
import {
  type PostgresServer,
  postgresUrl,
  restartPostgresServer,
  startPostgresServer,
  stopPostgresServer,
} from '../../helpers/postgres-server.ts';
import { tempDir } from '../../helpers/temp-dir.ts';
import { atTestEnd } from '../../helpers/test-end.ts';
import { ProcessRegistry } from '../../setup/registry.ts';
import { testRun } from '../../setup/test-run.ts';

const TRIES = 50;
const AGAIN_MS = 100;

/** A PostgreSQL of one test alone, which may be killed as a whole. */
export class OwnPostgres {
  #server: PostgresServer;

  private constructor(server: PostgresServer) {
    this.#server = server;
  }

  /** `native`: the folder with its programs in `bin`, where it is to be another one than of all other tests. */
  static async start(native?: string): Promise<OwnPostgres> {
    const programs = native ?? (await bringPostgres()).native;
    const dir = await tempDir('postgres');
    // The server's own user must get to its folder.
    await chmod(dir, 0o711);
    const own = new OwnPostgres(await startPostgresServer(programs, join(dir, 'server')));
    own.#register();
    atTestEnd(() => stopPostgresServer(own.#server).catch(() => undefined));
    return own;
  }

  get url(): string {
    return postgresUrl(this.#server, 'postgres');
  }

  /** The postmaster and all that it has started, at once. */
  async kill(): Promise<void> {
    const { pid } = this.#server;
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
    for (const each of [pid, ...children.trim().split(' ').filter(Boolean).map(Number)]) signal(each);
    while (isRunning(pid)) await sleep(10);
  }

  /** On the same port and data, as often as it takes: what a killed one had in use is free a little later. */
  async restart(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        this.#server = await restartPostgresServer(this.#server);
        this.#register();
        return;
      } catch (error) {
        if (tries === TRIES) throw error;
        await sleep(AGAIN_MS);
      }
    }
  }

  #register(): void {
    new ProcessRegistry(testRun().dir).add(this.#server.pid, { owner: process.pid, signal: 'SIGQUIT' });
  }
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
