import type { Log } from '../../../runtime/log.ts';
import { CountersUnavailable } from '../contract.ts';
import { withDeadline } from './deadline.ts';
import { runScript } from './run-script.ts';
import type { Script } from './scripts.ts';
import { ServerConnection, type ServerGuard } from './server-connection.ts';

export type { ServerGuard } from './server-connection.ts';

/** One connection to a Redis server that runs scripts, each within a time limit. */
export interface Connection {
  /** Whether each call is paid for, as it is by Upstash: then fewer are better than sooner. */
  readonly callsArePaid: boolean;
  run(script: Script, keys: string[], args: string[]): Promise<unknown>;
  get(key: string): Promise<string | null>;
  /** Of a hash, in their order. */
  getFields(key: string, fields: string[]): Promise<(string | null)[]>;
  /** Throws unless the server would run a script that writes: a replica, or a server without memory, would not. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Redis refuses a script of this kind, whatever it does, wherever it would refuse one that writes. */
export const WOULD_WRITE = '#!lua\nreturn 1';

/**
 * Connects, and goes on connecting for as long as it takes. What does not answer in `timeoutMs`, or while there is no
 * connection, throws `CountersUnavailable`, as does any error that the server answers (`cause`: an `ErrorReply`): a
 * script that timed out may still have run. Throws `ConfigError` if the server that it reaches must not be used. One that
 * is away does not keep the process from starting: its requests are denied until it is there.
 */
export async function connectRedis(url: string, timeoutMs: number, log: Log, guard?: ServerGuard): Promise<Connection> {
  const server = new ServerConnection({ url, name: 'Redis', timeoutMs, log, guard });
  await server.open();
  return new RedisConnection(server, timeoutMs);
}

class RedisConnection implements Connection {
  readonly callsArePaid = false;
  readonly #server: ServerConnection;
  readonly #timeoutMs: number;

  constructor(server: ServerConnection, timeoutMs: number) {
    this.#server = server;
    this.#timeoutMs = timeoutMs;
  }

  run(script: Script, keys: string[], args: string[]): Promise<unknown> {
    return this.#within((signal) =>
      runScript((command) => this.#server.ask([command], signal), script, [keys, args], signal),
    );
  }

  get(key: string): Promise<string | null> {
    return this.#within((signal) => this.#server.ask([['GET', key]], signal) as Promise<string | null>);
  }

  getFields(key: string, fields: string[]): Promise<(string | null)[]> {
    const command = ['HMGET', key, ...fields];
    return this.#within((signal) => this.#server.ask([command], signal) as Promise<(string | null)[]>);
  }

  ping(): Promise<void> {
    return this.#within(async (signal) => {
      await this.#server.ask([['EVAL', WOULD_WRITE, '0']], signal);
    });
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  async #within<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    try {
      return await withDeadline(this.#timeoutMs, work);
    } catch (error) {
      throw new CountersUnavailable(`Redis: ${(error as Error).message}`, { cause: error });
    }
  }
}
