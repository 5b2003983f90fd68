import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from '@upstash/redis';
import { ErrorReply } from 'redis';
import type { UsageStream } from '../../schemas/usage-stream.ts';
import { LedgerStream, type LedgerStreamOptions } from './ledger-stream.ts';
import {
  type Backlog,
  type Claimed,
  type Delivery,
  GROUP,
  type GroupState,
  type ReaderOptions,
  type StreamCommands,
} from './stream-commands.ts';
import { answered, type UpstashAccess, upstashClient } from './upstash-client.ts';

/** Upstash lets a reader hold 1,000 unacknowledged entries, and refuses a read that could lead beyond: three batches are on their way. */
const MAX_COUNT = 300;

/** Between reads that find nothing; doubled each time, for every request is billed. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

export interface UpstashStreamOptions extends LedgerStreamOptions, ReaderOptions, UpstashAccess {}

/** Opens the usage stream of an Upstash database, which need not be reachable yet. */
export function openUpstashStream(options: UpstashStreamOptions): UsageStream {
  return new LedgerStream(new UpstashStreamCommands(upstashClient(options), options), options);
}

class UpstashStreamCommands implements StreamCommands {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #consumer: string;
  readonly #closed = new AbortController();
  #pauseMs = FIRST_PAUSE_MS;

  constructor(redis: Redis, { consumer, key }: ReaderOptions) {
    this.#redis = redis;
    this.#key = key;
    this.#consumer = consumer;
  }

  /** Over REST the server does not wait, so it is asked again and again. */
  async readNew(count: number, waitMs: number): Promise<Delivery[]> {
    let left = waitMs;
    do {
      const entries = await this.#readGroup('>', count);
      if (entries.length) {
        this.#pauseMs = FIRST_PAUSE_MS;
        return entries;
      }
      left -= await this.#pause(left);
    } while (left > 0);
    return [];
  }

  async #pause(longest: number): Promise<number> {
    const pause = Math.min(this.#pauseMs, longest);
    await sleep(pause, undefined, { signal: this.#closed.signal });
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
    return pause;
  }

  readOwn(after: string, count: number): Promise<Delivery[]> {
    return this.#readGroup(after, count);
  }

  async #readGroup(after: string, count: number): Promise<Delivery[]> {
    const options = ['COUNT', String(Math.min(count, MAX_COUNT)), 'STREAMS', this.#key, after];
    const reply = await this.#send(['XREADGROUP', 'GROUP', GROUP, this.#consumer, ...options]);
    return (reply as [key: string, entries: Delivery[]][] | null)?.[0]?.[1] ?? [];
  }

  async claim(from: string, count: number, idleMs: number): Promise<Claimed> {
    const options = [String(idleMs), from, 'COUNT', String(Math.min(count, MAX_COUNT))];
    const reply = await this.#send(['XAUTOCLAIM', this.#key, GROUP, this.#consumer, ...options]);
    // A server of the time before Redis 7 leaves the third out.
    const [next, entries, deleted = []] = reply as [string, Delivery[], string[]?];
    return { next, entries, deleted };
  }

  async claimForgotten(ids: string[], idleMs: number): Promise<Delivery[]> {
    const options = [String(idleMs), ...ids.slice(0, MAX_COUNT), 'FORCE'];
    return (await this.#send(['XCLAIM', this.#key, GROUP, this.#consumer, ...options])) as Delivery[];
  }

  async timesDelivered(first: string, last: string, count: number): Promise<Map<string, number>> {
    const reply = await this.#send(['XPENDING', this.#key, GROUP, first, last, String(count), this.#consumer]);
    return new Map((reply as Pending[]).map(([id, , , times]) => [id, times]));
  }

  /** In one request, carried out in order. */
  acknowledge(ids: string[]): Promise<unknown> {
    return replies(this.#redis.pipeline().xack(this.#key, GROUP, ids).xdel(this.#key, ids).exec({ keepErrors: true }));
  }

  /** In one transaction: one alone may be answered by a replica that knows less. */
  async backlog(): Promise<Backlog> {
    const asked = this.#redis.multi().xlen(this.#key).time().xinfo(this.#key, { type: 'GROUPS' });
    const answers = asked.xpending(this.#key, GROUP, '-', '+', 1).exec({ keepErrors: true });
    const [length, time, groups, pending] = await replies(answers);
    const [seconds] = time as [string];
    return { group: groupState(groups, pending), length: length as number, now: Number(seconds) * 1000 };
  }

  async oldest(end: string, count: number): Promise<Delivery[]> {
    return (await this.#send(['XRANGE', this.#key, '-', end, 'COUNT', String(count)])) as Delivery[];
  }

  createGroup(): Promise<unknown> {
    return this.#send(['XGROUP', 'CREATE', this.#key, GROUP, '0', 'MKSTREAM']);
  }

  /** Ends a read that waits; requests under way end by themselves. */
  async close(): Promise<void> {
    this.#closed.abort();
  }

  #send(command: [string, ...string[]]): Promise<unknown> {
    return answered(this.#redis.exec(command));
  }
}

type Pending = [id: string, consumer: string, idleMs: number, times: number];

/** Throws the first error of a transaction's replies. */
async function replies(transaction: Promise<{ result?: unknown; error?: string }[]>): Promise<unknown[]> {
  return (await answered(transaction)).map(({ error, result }) => {
    if (error) throw new ErrorReply(error);
    return result;
  });
}

/** From a list of groups, each a list of names and values by turns, and of at most one pending entry. */
function groupState(groups: unknown, pending: unknown): GroupState | undefined {
  const fields = (groups as unknown[][]).map((group) => new Map(pairs(group))).find((map) => map.get('name') === GROUP);
  if (!fields) return undefined;
  return {
    lastDelivered: String(fields.get('last-delivered-id')),
    pending: Number(fields.get('pending')),
    firstPending: (pending as Pending[])[0]?.[0],
  };
}

const pairs = (list: unknown[]) =>
  list.flatMap((name, index): [unknown, unknown][] => (index % 2 === 0 ? [[name, list[index + 1]]] : []));
