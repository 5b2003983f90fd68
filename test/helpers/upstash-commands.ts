import { createHash } from 'node:crypto';
import { createClient, ErrorReply, RESP_TYPES } from 'redis';
import type { RedisReply } from './upstash-replies.ts';

/** Entries that one consumer of a group may hold unacknowledged, on Upstash. */
const MAX_PENDING = 1_000;

/** How a script begins that Upstash alone runs: of another Redis the flag makes it one that is refused. */
const UPSTASH_SHEBANG = '#!lua flags=allow-key-locking';

/** Runs the REST API's commands on a real Redis, one after the other on one connection, in the order they are given. */
export class UpstashCommands {
  /** Commands executed, as they would be billed. */
  executed = 0;
  readonly #client;
  /** SHA-1 of each script that was sent with Upstash's own flag, and of what was run in its place. */
  readonly #withoutFlag = new Map<string, string>();

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
      return (await this.#client.sendCommand(this.#portable(command))) as unknown as RedisReply;
    } catch (error) {
      if (error instanceof ErrorReply) return error;
      throw error;
    }
  }

  #portable(command: string[]): string[] {
    const [name = '', script = '', ...rest] = command;
    if (/^evalsha$/i.test(name)) return [name, this.#withoutFlag.get(script) ?? script, ...rest];
    if (!/^eval$/i.test(name) || !script.startsWith(UPSTASH_SHEBANG)) return command;
    const portable = `#!lua${script.slice(UPSTASH_SHEBANG.length)}`;
    this.#withoutFlag.set(sha1(script), sha1(portable));
    return [name, portable, ...rest];
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

const sha1 = (text: string) => createHash('sha1').update(text).digest('hex');
