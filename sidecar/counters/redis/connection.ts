import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, DisconnectsClientError, ErrorReply, type RedisClientType } from 'redis';
import { ConfigError } from '../../../runtime/config/config-error.ts';
import type { Log } from '../../../runtime/log.ts';
import { CountersUnavailable } from '../contract.ts';
import { withDeadline } from './deadline.ts';
import { runScript } from './run-script.ts';
import type { Script } from './scripts.ts';
import type { Ask } from './server-settings.ts';
import { Silence } from './silence.ts';

/** One connection to a Redis server that runs scripts, each within a time limit. */
export interface Connection {
  run(script: Script, keys: string[], args: string[]): Promise<unknown>;
  get(key: string): Promise<string | null>;
  /** Throws unless the server would run a script that writes: a replica, or a server without memory, would not. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface ServerGuard {
  /** Looks at the server of each new connection before anything else is asked of it. `ConfigError`: must not be used. */
  check(ask: Ask): Promise<void>;
  /** A server that stays connected is looked at again this often: its settings can be changed while it runs. */
  everyMs: number;
  /** Told of a `ConfigError` of a server that was first reached after the start. */
  refuse(error: ConfigError): void;
}

/** Keeps a quiet connection from being given up, and notices one that is gone. */
const PING_MS = 1_000;

/** A connection is given up when nothing has come for this much longer than one call may take. */
const SILENCE_MS = 2_000;

/** Redis refuses a script of this kind, whatever it does, wherever it would refuse one that writes. */
const WOULD_WRITE = '#!lua\nreturn 1';

/** Who answers this is a replica. After a failover the address leads to another server, but only a new connection. */
const REPLICA = /^(READONLY|MASTERDOWN)\b/;

/**
 * Connects, and goes on connecting for as long as it takes. What does not answer in `timeoutMs`, or while there is no
 * connection, throws `CountersUnavailable`, as does any error that the server answers (`cause`: an `ErrorReply`): a
 * script that timed out may still have run. Throws `ConfigError` if the server that it reaches must not be used.
 */
export async function connectRedis(url: string, timeoutMs: number, log: Log, guard?: ServerGuard): Promise<Connection> {
  const connection = new RedisConnection(url, timeoutMs, log, guard);
  await connection.open();
  return connection;
}

class RedisConnection implements Connection {
  readonly #client: RedisClientType;
  readonly #timeoutMs: number;
  readonly #log: Log;
  readonly #guard: ServerGuard | undefined;
  readonly #silence: Silence;
  readonly #checks: NodeJS.Timeout | undefined;
  /** The look at the server of this connection; undefined before there is one. */
  #checked: Promise<void> | undefined;
  #opening = true;
  #away = false;

  constructor(url: string, timeoutMs: number, log: Log, guard: ServerGuard | undefined) {
    this.#timeoutMs = timeoutMs;
    this.#log = log;
    this.#guard = guard;
    this.#client = newClient(url, timeoutMs);
    this.#client.on('error', (error: Error) => this.#lost(error));
    this.#client.on('ready', () => this.#ready());
    this.#silence = new Silence(timeoutMs + SILENCE_MS, () => this.#silent());
    const again = () => {
      if (this.#client.isReady) void this.#check();
    };
    if (guard) this.#checks = setInterval(again, guard.everyMs).unref();
  }

  /** A server that is away does not keep the process from starting: its requests are denied until the server is there. */
  async open(): Promise<void> {
    const failed = once(this.#client, 'error');
    await Promise.race([this.#client.connect().catch(() => {}), failed]).catch(() => {});
    try {
      await this.#checked;
    } catch (error) {
      if (!(error instanceof ConfigError)) return;
      await this.close();
      throw error;
    } finally {
      this.#opening = false;
    }
  }

  run(script: Script, keys: string[], args: string[]): Promise<unknown> {
    return this.#within((inTime) => runScript((command) => this.#send(command), script, [keys, args], inTime));
  }

  get(key: string): Promise<string | null> {
    return this.#within(() => this.#send(['GET', key]) as Promise<string | null>);
  }

  ping(): Promise<void> {
    return this.#within(async () => {
      await this.#send(['EVAL', WOULD_WRITE, '0']);
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#checks);
    if (this.#client.isReady) {
      await Promise.race([this.#client.close(), sleep(this.#timeoutMs, undefined, { ref: false })]);
    }
    this.#client.destroy();
  }

  async #send(command: string[]): Promise<unknown> {
    try {
      return await this.#silence.listen(this.#client.sendCommand(command));
    } catch (error) {
      if (error instanceof ErrorReply && REPLICA.test(error.message)) this.#reconnect();
      throw error;
    }
  }

  /** Runs `work` once the server has been looked at. */
  async #within<Result>(work: (inTime: () => boolean) => Promise<Result>): Promise<Result> {
    try {
      return await withDeadline(this.#timeoutMs, async (inTime) => {
        // What could not be looked at before, for example because it was busy, is looked at again.
        await (this.#checked ?? this.#check());
        if (!inTime()) throw new Error('too late to be asked');
        return work(inTime);
      });
    } catch (error) {
      throw new CountersUnavailable(`Redis: ${(error as Error).message}`, { cause: error });
    }
  }

  #check(): Promise<void> {
    const ask: Ask = (command) => this.#silence.listen(this.#client.sendCommand(command));
    const checked = (this.#guard?.check(ask) ?? Promise.resolve()).catch((error: unknown) => {
      if (error instanceof ConfigError) {
        if (!this.#opening) this.#guard?.refuse(error);
      } else if (this.#checked === checked) this.#checked = undefined;
      throw error;
    });
    checked.catch(() => {});
    this.#checked = checked;
    return checked;
  }

  #ready(): void {
    if (this.#away) this.#log.info('Redis is back');
    this.#away = false;
    void this.#check();
  }

  #lost(error: Error): void {
    // A ping that the server answers with an error: it is there, and calls are told the same.
    if (this.#client.isReady || error instanceof DisconnectsClientError) return;
    if (!this.#away) this.#log.error({ err: error }, 'Redis cannot be reached; trying on');
    this.#away = true;
    this.#checked = undefined;
  }

  #silent(): void {
    this.#log.error('Redis is connected and does not answer; connecting anew');
    this.#away = true;
    this.#reconnect();
  }

  #reconnect(): void {
    if (!this.#client.isReady) return;
    this.#client.destroy();
    this.#checked = undefined;
    this.#client.connect().catch(() => {});
  }
}

function newClient(url: string, timeoutMs: number): RedisClientType {
  return createClient({
    url,
    disableOfflineQueue: true,
    // What could not even be written when its caller gives up is not written any more.
    commandOptions: { timeout: timeoutMs },
    pingInterval: PING_MS,
    socket: {
      connectTimeout: 5_000,
      // For the handshake, and for a connection with no traffic but pings.
      socketTimeout: timeoutMs + SILENCE_MS,
      reconnectStrategy: (tries) => Math.min(50 * 2 ** tries, 1_000) * (0.5 + Math.random() / 2),
    },
  });
}
