import { createClient, ErrorReply, RESP_TYPES } from 'redis';
import type { RedisReply } from './upstash-replies.ts';

/** Entries that one consumer of a group may hold unacknowledged, on Upstash. */
const MAX_PENDING = 1_000;

/** Runs the REST API's commands on a real Redis, one after the other on one connection, in the order they are given. */
export class UpstashCommands {
  /** Commands executed, as they would be billed. */
  executed = 0;
  readonly #client;

  constructor(redisUrl: string) {
    this.#client = createClient({
      url: redisUrl,
      RESP: 2,
      disableOfflineQueue: true,
      commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
      socket: { reconnectStrategy: 20 },
    });
    this.#client.on('error', () => undefined);
  }

  async open(): Promise<void> {
    await this.#client.connect();
  }

  /** Throws anything but an `ErrorReply` if Redis is away. */
  async run(command: string[]): Promise<RedisReply> {
    this.executed += 1;
    return (await this.#pendingFull(command)) ?? this.#send(command);
  }

  /** One after the other; those of others may come in between. */
  async pipeline(commands: string[][]): Promise<RedisReply[]> {
    const replies: RedisReply[] = [];
    for (const command of commands) replies.push(await this.run(command));
    return replies;
  }

  /** All of them with nothing in between, or an error and none. */
  async transaction(commands: string[][]): Promise<RedisReply[] | ErrorReply> {
    this.executed += commands.length;
    const replies = await Promise.all([['MULTI'], ...commands, ['EXEC']].map((command) => this.#send(command)));
    const refused = replies.slice(1, -1).find((reply) => reply instanceof ErrorReply);
    return (refused ?? replies.at(-1)) as RedisReply[] | ErrorReply;
  }

  close(): void {
    this.#client.destroy();
  }

  async #send(command: string[]): Promise<RedisReply> {
    try {
      return (await this.#client.sendCommand(command)) as unknown as RedisReply;
    } catch (error) {
      if (error instanceof ErrorReply) return error;
      throw error;
    }
  }

  /** Upstash refuses to deliver more to a consumer than it may hold. */
  async #pendingFull(command: string[]): Promise<ErrorReply | undefined> {
    const [name, , group = '', consumer = ''] = command;
    if (name !== 'XREADGROUP' || command.at(-1) !== '>') return undefined;
    const key = command.at(-2) as string;
    const count = Number(command[command.indexOf('COUNT') + 1]);
    const pending = await this.#send(['XPENDING', key, group, '-', '+', String(MAX_PENDING), consumer]);
    const held = Array.isArray(pending) ? pending.length : 0;
    if (held + count <= MAX_PENDING) return undefined;
    const figures = `Limit: ${MAX_PENDING}, Current PEL size: ${held}, Requested Read: ${count}`;
    const where = `Key: ${key}, Group: ${group}, Consumer: ${consumer}`;
    const what = 'Pending Entries List limit per consumer is about to be reached';
    return new ErrorReply(`ERR XReadGroup is cancelled. ${what}. ${figures}, ${where}.`);
  }
}
