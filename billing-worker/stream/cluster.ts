import { ErrorReply, MultiErrorReply } from 'redis';
import type { Clock } from '../../runtime/clock.ts';
import { CLUSTER_PARTITIONS, type UsageStream, usageStreamKey } from '../../schemas/usage-stream.ts';
import { type Cluster, ClusterClient } from './cluster-client.ts';
import { groupState } from './group-state.ts';
import { LedgerStream, type LedgerStreamOptions } from './ledger-stream.ts';
import { PartitionedStream } from './partitioned-stream.ts';
import {
  type Backlog,
  type Claimed,
  type Delivery,
  GROUP,
  type GroupState,
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

  async timesDelivered(first: string, last: string, count: number): Promise<Map<string, number>> {
    const own = { consumer: this.#consumer };
    const pending = await this.#ask((cluster) => cluster.xPendingRange(this.#key, GROUP, first, last, count, own));
    return new Map(pending.map(({ deliveriesCounter, id }) => [id, deliveriesCounter]));
  }

  /** In one transaction: while a slot moves, commands one by one may be answered in another order. */
  async acknowledge(ids: string[]): Promise<GroupState | undefined> {
    const key = this.#key;
    const [, groups, pending] = await this.#ask((cluster) =>
      replies(cluster.multi(key).xAck(key, GROUP, ids).xInfoGroups(key).xPending(key, GROUP).execTyped()),
    );
    return groupState(groups, pending);
  }

  trim(minId: string): Promise<number> {
    return this.#ask((cluster) => cluster.xTrim(this.#key, 'MINID', minId));
  }

  /** In one transaction, so that the time is that of the same node. */
  async backlog(): Promise<Backlog> {
    const key = this.#key;
    const [length, [seconds], groups, pending] = await this.#ask((cluster) =>
      replies(cluster.multi(key).xLen(key).time().xInfoGroups(key).xPending(key, GROUP).execTyped()),
    );
    return { group: groupState(groups, pending), length, now: Number(seconds) * 1000 };
  }

  async range(start: string, count: number): Promise<Delivery[]> {
    return (await this.#send(['XRANGE', this.#key, start, '+', 'COUNT', String(count)])) as Delivery[];
  }

  createGroup(): Promise<string> {
    return this.#ask((cluster) => cluster.xGroupCreate(this.#key, GROUP, '0', { MKSTREAM: true }));
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

/** Throws the first error of a transaction's replies. */
async function replies<Replies>(transaction: Promise<Replies>): Promise<Replies> {
  try {
    return await transaction;
  } catch (error) {
    const [first] = error instanceof MultiErrorReply ? error.errors() : [];
    throw first instanceof ErrorReply ? first : error;
  }
}
