import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Log } from '../../runtime/log.ts';
import { compiled } from '../../runtime/package-root.ts';

export interface EmbeddedPostgres {
  socketPath: string;
  close(): Promise<void>;
}

/** The length at which Linux and macOS refuse a socket's path, the shorter of the two. */
const MAX_SOCKET_PATH = 104;
const RESTART_MS = 1_000;

/**
 * Starts the embedded PostgreSQL on the files in `folder`, in a thread of its own. A thread that dies is started again
 * on the same files. The folder must belong to this process alone. Throws what PGlite says if it cannot open it.
 */
export async function startEmbeddedPostgres(folder: string, log: Log): Promise<EmbeddedPostgres> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Made by mkdtemp with mode 0700: nobody else on the machine can reach the database, which asks for no password.
  const socketFolder = await mkdtemp(join(tmpdir(), 'billing-'));
  const socketPath = join(socketFolder, 'pg');
  if (Buffer.byteLength(socketPath) >= MAX_SOCKET_PATH) {
    throw new Error(`${socketPath} is too long for a socket; set TMPDIR to a shorter path`);
  }
  const supervisor = new Supervisor({ folder, socketPath }, log);
  const removeSocket = () => rm(socketFolder, { recursive: true, force: true });
  try {
    await supervisor.start();
  } catch (error) {
    await removeSocket();
    throw error;
  }
  return {
    socketPath,
    close: async () => {
      await supervisor.stop();
      await removeSocket();
    },
  };
}

class Supervisor {
  readonly #data: { folder: string; socketPath: string };
  readonly #log: Log;
  #thread: Worker | undefined;
  #exited: Promise<void> = Promise.resolve();
  #stopping = false;

  constructor(data: { folder: string; socketPath: string }, log: Log) {
    this.#data = data;
    this.#log = log;
  }

  /** Resolves when the database takes connections. */
  async start(): Promise<void> {
    await rm(this.#data.socketPath, { force: true });
    const thread = new Worker(compiled('billing-worker/database/embedded-thread.js'), { workerData: this.#data });
    this.#thread = thread;
    let failure: Error | undefined;
    thread.on('error', (error) => {
      failure = error;
    });
    this.#exited = new Promise((resolve) => thread.once('exit', () => resolve()));
    await new Promise<void>((resolve, reject) => {
      thread.once('message', () => resolve());
      thread.once('exit', (code) => reject(failure ?? new Error(`the embedded PostgreSQL ended with ${code}`)));
    });
    void this.#exited.then(() => this.#restart(failure));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#thread?.postMessage('close');
    await this.#exited;
  }

  async #restart(error: Error | undefined): Promise<void> {
    while (!this.#stopping) {
      this.#log.error({ err: error }, 'the embedded PostgreSQL died; starting it again');
      await sleep(RESTART_MS);
      if (this.#stopping) return;
      try {
        return await this.start();
      } catch (failed) {
        error = failed as Error;
      }
    }
  }
}
