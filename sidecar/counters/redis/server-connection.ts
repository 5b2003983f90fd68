import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, DisconnectsClientError, ErrorReply, type RedisClientType } from 'redis';
import { ConfigError } from '../../../runtime/config/config-error.ts';
import type { Log } from '../../../runtime/log.ts';
import type { Ask } from './server-settings.ts';
import { Silence } from './silence.ts';

export interface ServerGuard {
  /** Looks at the server of each new connection before anything else is asked of it. `ConfigError`: must not be used. */
  check(ask: Ask): Promise<void>;
  /** A server that stays connected is looked at again this often: its settings can be changed while it runs. */
  everyMs: number;
  /** Told of a `ConfigError` of a server that was first reached after the start. */
  refuse(error: ConfigError): void;
}

export interface ServerOptions {
  url: string;
  /** What log lines call it. */
  name: string;
  /** How long its callers wait for an answer. */
  timeoutMs: number;
  log: Log;
  guard?: ServerGuard | undefined;
  /** Told whenever the connection is lost, and with each attempt that fails. */
  onLost?: () => void;
}

/** Keeps a quiet connection from being given up, and notices one that is gone. */
const PING_MS = 1_000;

/** A connection is given up when nothing has come for this much longer than one call may take. */
const SILENCE_MS = 2_000;

/**
 * When a command that could not be written yet is not written any more. Without a word of it the client gives each a timer of five
 * seconds, which makes an error, with its stack, when nobody waits any more.
 */
type GiveUp = { abortSignal: AbortSignal; timeout: 0 } | { timeout: number };

/** Who answers this is a replica. After a failover the address leads to another server, but only a new connection. */
const REPLICA = /^(READONLY|MASTERDOWN)\b/;

/**
 * A connection to one server that is made anew for as long as it takes, and on which nothing is asked of the server
 * before it was looked at. What is asked while there is none, or is lost with one, throws and is not sent again.
 */
export class ServerConnection {
  readonly #client: RedisClientType;
  readonly #options: ServerOptions;
  readonly #silence: Silence;
  readonly #checks: NodeJS.Timeout | undefined;
  /** The look at the server of this connection; undefined before there is one. */
  #checked: Promise<void> | undefined;
  #opening = true;
  #away = false;

  constructor(options: ServerOptions) {
    const { guard, timeoutMs, url } = options;
    this.#options = options;
    this.#client = newClient(url, timeoutMs);
    this.#client.on('error', (error: Error) => this.#lost(error));
    this.#client.on('ready', () => this.#ready());
    this.#silence = new Silence(timeoutMs + SILENCE_MS, () => this.#silent());
    const again = () => {
      if (this.#client.isReady) void this.#check();
    };
    if (guard) this.#checks = setInterval(again, guard.everyMs).unref();
  }

  get isReady(): boolean {
    return this.#client.isReady;
  }

  /** Resolves with the first attempt, also with one that fails. Throws `ConfigError` if the server must not be used. */
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

  /**
   * Sends the commands in one go, once the server has been looked at, and gives the last one's answer. Sends nothing if
   * `signal` says by then that the caller has given up. Throws `ErrorReply`, or anything else where no answer came.
   */
  async ask(commands: [string[], ...string[][]], signal: AbortSignal): Promise<unknown> {
    // What could not be looked at before, for example because it was busy, is looked at again.
    await (this.#checked ?? this.#check());
    if (signal.aborted) throw new Error('too late to be asked');
    try {
      // What could not even be written when its caller gives up is not written any more.
      const answers = commands.map((command) => this.#send(command, { abortSignal: signal, timeout: 0 }));
      for (const answer of answers) answer.catch(() => {});
      return await answers.at(-1);
    } catch (error) {
      if (error instanceof ErrorReply && REPLICA.test(error.message)) this.#reconnect();
      throw error;
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#checks);
    if (this.#client.isReady) {
      await Promise.race([this.#client.close(), sleep(this.#options.timeoutMs, undefined, { ref: false })]);
    }
    this.#client.destroy();
  }

  #send(command: string[], giveUp: GiveUp): Promise<unknown> {
    return this.#silence.listen(this.#client.sendCommand(command, giveUp));
  }

  #check(): Promise<void> {
    const { guard } = this.#options;
    const ask: Ask = (command) => this.#send(command, { timeout: this.#options.timeoutMs });
    const checked = (guard?.check(ask) ?? Promise.resolve()).catch((error: unknown) => {
      if (error instanceof ConfigError) {
        if (!this.#opening) guard?.refuse(error);
      } else if (this.#checked === checked) this.#checked = undefined;
      throw error;
    });
    checked.catch(() => {});
    this.#checked = checked;
    return checked;
  }

  #ready(): void {
    if (this.#away) this.#options.log.info(`${this.#options.name} is back`);
    this.#away = false;
    void this.#check();
  }

  #lost(error: Error): void {
    // A ping that the server answers with an error: it is there, and calls are told the same.
    if (this.#client.isReady || error instanceof DisconnectsClientError) return;
    if (!this.#away) this.#options.log.error({ err: error }, `${this.#options.name} cannot be reached; trying on`);
    this.#away = true;
    this.#checked = undefined;
    this.#options.onLost?.();
  }

  #silent(): void {
    this.#options.log.error(`${this.#options.name} is connected and does not answer; connecting anew`);
    this.#away = true;
    this.#reconnect();
    this.#options.onLost?.();
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
    pingInterval: PING_MS,
    socket: {
      connectTimeout: 5_000,
      // For the handshake, and for a connection with no traffic but pings.
      socketTimeout: timeoutMs + SILENCE_MS,
      reconnectStrategy: (tries) => Math.min(50 * 2 ** tries, 1_000) * (0.5 + Math.random() / 2),
    },
  });
}
