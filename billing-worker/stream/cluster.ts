import type { Clock } from '../../runtime/clock.ts';
import { CLUSTER_PARTITIONS, type UsageStream, usageStreamKey } from '../../schemas/usage-stream.ts';
import { type Cluster, ClusterClient } from './cluster-client.ts';
import { groupState } from './group-state.ts';
import { LedgerStream, type LedgerStreamOptions } from './ledger-stream.ts';
import { PartitionedStream } from './partitioned-stream.ts';
import {
  type Backlog,
  type Claimed,
  CREATE_GROUP,
  type Delivery,
  GROUP,
  type ReaderOptions,
  type StreamCommands,
} from './stream-commands.ts';

export interface ClusterStreamOptions extends Omit<LedgerStreamOptions, 'key'>, Omit<ReaderOptions, 'key'> {
  /** Some of the cluster's nodes; the first tells how all are connected to. */
  urls: string[];
  clock: Clock;
}

/** Opens the usage streams of a Redis Cluster, which need not be there yet. */
export function openClusterStream({ clock, urls, ...options }: ClusterStreamOptions): UsageStream {
  const client = new ClusterClient(urls, options.log);
  const streams = Array.from({ length: CLUSTER_PARTITIONS }, (_, partition) => {
    const reader = { ...options, key: usageStreamKey(partition) };
    return new LedgerStream(new ClusterStreamCommands(client, reader), reader);
  });
  return new PartitionedStream(streams, { clock, log: options.log });
}

/** Entries are read with commands of our own: the client's decoders throw a TypeError for one that was deleted. */
class ClusterStreamCommands implements StreamCommands {
  readonly #client: ClusterClient;
  readonly #key: string;
  readonly #consumer: string;

  constructor(client: ClusterClient, { consumer, key }: ReaderOptions) {
    this.#client = client;
    this.#key = key;
    this.#consumer = consumer;
  }

  /** Waits for nothing: on a connection that all partitions of a node share, it would hold up everything behind it. */
  readNew(count: number): Promise<Delivery[]> {
    return this.#readGroup('>', count);
  }

  readOwn(after: string, count: number): Promise<Delivery[]> {
    return this.#readGroup(after, count);
  }

  async #readGroup(after: string, count: number): Promise<Delivery[]> {
    const options = ['COUNT', String(count), 'STREAMS', this.#key, after];
    const reply = await this.#send(['XREADGROUP', 'GROUP', GROUP, this.#consumer, ...options]);
    return (reply as Record<string, Delivery[]> | null)?.[this.#key] ?? [];
  }

  async claim(from: string, count: number, idleMs: number): Promise<Claimed> {
    const options = [String(idleMs), from, 'COUNT', String(count)];
    const reply = await this.#send(['XAUTOCLAIM', this.#key, GROUP, this.#consumer, ...options]);
    const [next, entries, deleted] = reply as [string, Delivery[], string[]];
    return { next, entries, deleted };
  }

  async claimForgotten(ids: string[], idleMs: number): Promise<Delivery[]> {
    const command = ['XCLAIM', this.#key, GROUP, this.#consumer, String(idleMs), ...ids, 'FORCE'];
    return (await this.#send(command)) as Delivery[];
  }

  async timesDelivered(first: string, last: string, count: number): Promise<Map<string, number>> {
    const own = { consumer: this.#consumer };
    const pending = await this.#ask((cluster) => cluster.xPendingRange(this.#key, GROUP, first, last, count, own));
    return new Map(pending.map(({ deliveriesCounter, id }) => [id, deliveriesCounter]));
  }

  /** One after the other: sent together while a slot moves, they may be carried out in another order. */
  async acknowledge(ids: string[]): Promise<unknown> {
    await this.#ask((cluster) => cluster.xAck(this.#key, GROUP, ids));
    return this.#ask((cluster) => cluster.xDel(this.#key, ids));
  }

  /**
   * Not in a transaction, which a server without memory refuses. The time is asked of the key's node: as a command of the cluster
   * it goes to any, also to one that is away.
   */
  async backlog(): Promise<Backlog> {
    const key = this.#key;
    const [length, [seconds], groups, pending] = await Promise.all([
      this.#ask((cluster) => cluster.xLen(key)),
      this.#ask(async (cluster) => (await cluster.getNodeClientForKey(key, false)).time()),
      this.#ask((cluster) => cluster.xInfoGroups(key)),
      this.#ask((cluster) => cluster.xPending(key, GROUP)),
    ]);
    return { group: groupState(groups, pending), length, now: Number(seconds) * 1000 };
  }

  async oldest(end: string, count: number): Promise<Delivery[]> {
    return (await this.#send(['XRANGE', this.#key, '-', end, 'COUNT', String(count)])) as Delivery[];
  }

  createGroup(): Promise<unknown> {
    return this.#send(['EVAL', CREATE_GROUP, '1', this.#key, GROUP]);
  }

  /** Of all partitions at once: they share the connections. */
  close(): Promise<void> {
    return this.#client.close();
  }

  #send(command: string[]): Promise<unknown> {
    return this.#ask((cluster) => cluster.sendCommand(this.#key, false, command));
  }

  #ask<Answer>(question: (cluster: Cluster) => Promise<Answer>): Promise<Answer> {
    return this.#client.ask(this.#key, question);
  }
}
