import { ConfigError } from '../../../runtime/config/config-error.ts';
import type { Log } from '../../../runtime/log.ts';
import { CountersUnavailable } from '../contract.ts';
import type { Connection, ServerGuard } from '../redis/connection.ts';
import { withDeadline } from '../redis/deadline.ts';
import { runScript } from '../redis/run-script.ts';
import type { Script } from '../redis/scripts.ts';
import { type Send, upstashClient, WOULD_WRITE } from './client.ts';
import type { UpstashAccess } from './requester.ts';

/** The first request opens a connection across the internet; nobody waits for a decision yet. */
const OPEN_MS = 5_000;

export interface UpstashOptions extends UpstashAccess {
  /** How long one call may take, in milliseconds. */
  timeoutMs: number;
  log: Log;
  guard?: Pick<ServerGuard, 'check' | 'refuse'>;
}

/**
 * Runs scripts over Upstash's REST API: one HTTP request per call, and one more when a script is gone. Fails as
 * `connectRedis` does. A server that is away does not keep the process from starting.
 */
export async function connectUpstash(options: UpstashOptions): Promise<Connection> {
  const connection = new UpstashConnection(options);
  await connection.open();
  return connection;
}

class UpstashConnection implements Connection {
  readonly callsArePaid = true;
  readonly #options: UpstashOptions;
  readonly #send: Send;
  /** The look at the server, before anything is asked of it; undefined until it could be looked at. */
  #checked: Promise<void> | undefined;
  #opening = true;

  constructor(options: UpstashOptions) {
    this.#options = options;
    this.#send = upstashClient(options, options.timeoutMs);
  }

  async open(): Promise<void> {
    try {
      await this.#check(upstashClient(this.#options, OPEN_MS));
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      this.#options.log.error({ err: error }, 'Upstash cannot be reached; trying on');
    } finally {
      this.#opening = false;
    }
  }

  run(script: Script, keys: string[], args: string[]): Promise<unknown> {
    return this.#within((signal) => runScript(this.#send, script, [keys, args], signal));
  }

  get(key: string): Promise<string | null> {
    return this.#within(() => this.#send(['GET', key]) as Promise<string | null>);
  }

  getFields(key: string, fields: string[]): Promise<(string | null)[]> {
    return this.#within(() => this.#send(['HMGET', key, ...fields]) as Promise<(string | null)[]>);
  }

  ping(): Promise<void> {
    return this.#within(async () => {
      await this.#send(WOULD_WRITE);
    });
  }

  /** There is nothing to close: requests under way end within their limit, and idle connections hold no process. */
  async close(): Promise<void> {}

  async #within<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    try {
      return await withDeadline(this.#options.timeoutMs, async (signal) => {
        await (this.#checked ?? this.#check(this.#send));
        if (signal.aborted) throw new Error('too late to be asked');
        return work(signal);
      });
    } catch (error) {
      throw new CountersUnavailable(`Upstash: ${(error as Error).message}`, { cause: error });
    }
  }

  #check(send: Send): Promise<void> {
    const { guard } = this.#options;
    const checked = (guard?.check(send) ?? Promise.resolve()).catch((error: unknown) => {
      if (error instanceof ConfigError) {
        if (!this.#opening) guard?.refuse(error);
      } else if (this.#checked === checked) this.#checked = undefined;
      throw error;
    });
    checked.catch(() => {});
    this.#checked = checked;
    return checked;
  }
}
