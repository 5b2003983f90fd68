import type { UsageStream } from '../../schemas/usage-stream.ts';
import { groupState } from './group-state.ts';
import { LedgerStream, type LedgerStreamOptions } from './ledger-stream.ts';
import { connectClients, type RedisClients } from './redis-clients.ts';
import {
  type Backlog,
  type Claimed,
  CREATE_GROUP,
  type Delivery,
  GROUP,
  type GroupState,
  type ReaderOptions,
  type StreamCommands,
} from './stream-commands.ts';

export interface RedisStreamOptions extends LedgerStreamOptions, ReaderOptions {
  url: string;
}

/** Opens the usage stream of a Redis, which need not be there yet. */
export async function openRedisStream(options: RedisStreamOptions): Promise<UsageStream> {
  return new LedgerStream(new RedisStreamCommands(await connectClients(options.url, options.log), options), options);
}

/** Entries are read with commands of our own: the client's decoders throw a TypeError for one that was deleted. */
class RedisStreamCommands implements StreamCommands {
  readonly #clients: RedisClients;
  readonly #key: string;
  readonly #consumer: string;

  constructor(clients: RedisClients, { consumer, key }: ReaderOptions) {
    this.#clients = clients;
    this.#key = key;
    this.#consumer = consumer;
  }

  /** BLOCK 0 would wait for ever. */
  readNew(count: number, waitMs: number): Promise<Delivery[]> {
    return this.#readGroup('>', ['COUNT', String(count), ...(waitMs > 0 ? ['BLOCK', String(waitMs)] : [])]);
  }

  readOwn(after: string, count: number): Promise<Delivery[]> {
    return this.#readGroup(after, ['COUNT', String(count)]);
  }

  async #readGroup(after: string, options: string[]): Promise<Delivery[]> {
    const command = ['XREADGROUP', 'GROUP', GROUP, this.#consumer, ...options, 'STREAMS', this.#key, after];
    const reply = (await this.#clients.reader.sendCommand(command)) as unknown as Record<string, Delivery[]> | null;
    return reply?.[this.#key] ?? [];
  }

  async claim(from: string, count: number, idleMs: number): Promise<Claimed> {
    const options = [String(idleMs), from, 'COUNT', String(count)];
    const command = ['XAUTOCLAIM', this.#key, GROUP, this.#consumer, ...options];
    const reply = (await this.#clients.client.sendCommand(command)) as unknown as [string, Delivery[], string[]];
    const [next, entries, deleted] = reply;
    return { next, entries, deleted };
  }

  async claimForgotten(ids: string[], idleMs: number): Promise<Delivery[]> {
    const command = ['XCLAIM', this.#key, GROUP, this.#consumer, String(idleMs), ...ids, 'FORCE'];
    return (await this.#clients.client.sendCommand(command)) as unknown as Delivery[];
  }

  async timesDelivered(first: string, last: string, count: number): Promise<Map<string, number>> {
    const own = { consumer: this.#consumer };
    const pending = await this.#clients.client.xPendingRange(this.#key, GROUP, first, last, count, own);
    return new Map(pending.map(({ deliveriesCounter, id }) => [id, deliveriesCounter]));
  }

  /** Sent together and carried out in order. Not in a transaction, which a server without memory refuses. */
  acknowledge(ids: string[]): Promise<unknown> {
    const { client } = this.#clients;
    return Promise.all([client.xAck(this.#key, GROUP, ids), client.xDel(this.#key, ids)]);
  }

  async backlog(): Promise<Backlog> {
    const { client } = this.#clients;
    const [group, length, [seconds]] = await Promise.all([this.#group(), client.xLen(this.#key), client.time()]);
    return { group, length, now: Number(seconds) * 1000 };
  }

  async #group(): Promise<GroupState | undefined> {
    const { client } = this.#clients;
    return groupState(...(await Promise.all([client.xInfoGroups(this.#key), client.xPending(this.#key, GROUP)])));
  }

  async oldest(end: string, count: number): Promise<Delivery[]> {
    const command = ['XRANGE', this.#key, '-', end, 'COUNT', String(count)];
    return (await this.#clients.client.sendCommand(command)) as unknown as Delivery[];
  }

  createGroup(): Promise<unknown> {
    return this.#clients.client.sendCommand(['EVAL', CREATE_GROUP, '1', this.#key, GROUP]);
  }

  close(): Promise<void> {
    return this.#clients.close();
  }
}
