import { Counter, type Registry } from 'prom-client';
import { ErrorReply } from 'redis';
import type { Log } from '../../runtime/log.ts';
import type { StreamEntry, StreamLag, UsageStream } from '../../schemas/usage-stream.ts';
import { connectClients, type RedisClients } from './redis-clients.ts';
import { lowerId, nextId } from './stream-id.ts';

/** The one group of readers that decides what may be deleted. */
const GROUP = 'ledger';
/** Of how many entries the first one with a readable time tells the age of the oldest. */
const AGE_SAMPLE = 10;

export interface RedisStreamOptions {
  url: string;
  /** The stream's key, such as `ocr:{p0}:usage`. */
  key: string;
  /** This reader's name. The same at every start, it finds at once what it took before the last end. */
  consumer: string;
  registry: Registry;
  log: Log;
}

/** Opens the usage stream of a Redis, which need not be there yet. */
export async function openRedisStream(options: RedisStreamOptions): Promise<UsageStream> {
  return new RedisUsageStream(await connectClients(options.url, options.log), options);
}

class RedisUsageStream implements UsageStream {
  readonly #clients: RedisClients;
  readonly #options: RedisStreamOptions;
  readonly #lost: Counter;
  /** Up to where this reader has read again what it took and did not acknowledge; undefined when through. */
  #ownAfter: string | undefined = '0';
  #claimFrom = '0-0';

  constructor(clients: RedisClients, options: RedisStreamOptions) {
    this.#clients = clients;
    this.#options = options;
    this.#lost = new Counter({
      name: 'openclaw_usage_stream_lost_entries_total',
      help: 'Usage events that were deleted from the stream before they were acknowledged: lost for the ledger.',
      registers: [options.registry],
    });
  }

  async read(count: number, waitMs: number): Promise<StreamEntry[]> {
    try {
      const { entries } = await this.#readGroup('>', ['COUNT', String(count), 'BLOCK', String(waitMs)]);
      return entries;
    } catch (error) {
      // What was delivered into a broken connection is this reader's now, and nobody else's for a while.
      this.#ownAfter = '0';
      throw error;
    }
  }

  async reclaim(count: number, idleMs: number): Promise<StreamEntry[]> {
    const entries = (await this.#reclaimOwn(count)) ?? (await this.#claimIdle(count, idleMs));
    if (entries.length === 0) return [];
    const times = await this.#timesDelivered(entries);
    return entries.map((entry) => ({ ...entry, redelivered: (times.get(entry.id) ?? 1) - 1 }));
  }

  /** Undefined: there is nothing of this reader's own left. */
  async #reclaimOwn(count: number): Promise<StreamEntry[] | undefined> {
    while (this.#ownAfter !== undefined) {
      const { deleted, entries, last } = await this.#readGroup(this.#ownAfter, ['COUNT', String(count)]);
      if (deleted.length) {
        await this.#clients.client.xAck(this.#options.key, GROUP, deleted);
        this.#countLost(deleted);
      }
      this.#ownAfter = last;
      if (entries.length) return entries;
    }
    return undefined;
  }

  async #claimIdle(count: number, idleMs: number): Promise<StreamEntry[]> {
    const { consumer, key } = this.#options;
    do {
      const claimed = await this.#withGroup(() =>
        this.#clients.client.xAutoClaim(key, GROUP, consumer, idleMs, this.#claimFrom, { COUNT: count }),
      );
      this.#claimFrom = claimed.nextId;
      if (claimed.deletedMessages.length) this.#countLost(claimed.deletedMessages);
      const entries = claimed.messages.flatMap((message) => (message ? [entryOf(message.id, message.message.e)] : []));
      if (entries.length) return entries;
    } while (this.#claimFrom !== '0-0');
    return [];
  }

  async acknowledge(ids: string[]): Promise<void> {
    const { client } = this.#clients;
    const { key } = this.#options;
    // Sent together and answered in order. What is delivered to another reader in between has a higher id than the
    // last delivered one that was read first, so the lower of the two bounds never deletes it.
    const [, groups, pending] = await this.#withGroup(() =>
      Promise.all([client.xAck(key, GROUP, ids), client.xInfoGroups(key), client.xPending(key, GROUP)]),
    );
    const group = groups.find(({ name }) => name === GROUP);
    if (!group) return;
    const done = nextId(group['last-delivered-id']);
    await client.xTrim(key, 'MINID', pending.firstId === null ? done : lowerId(pending.firstId, done));
  }

  async lag(): Promise<StreamLag> {
    const { client } = this.#clients;
    const { key } = this.#options;
    const [groups, pending, length, [seconds]] = await this.#withGroup(() =>
      Promise.all([client.xInfoGroups(key), client.xPending(key, GROUP), client.xLen(key), client.time()]),
    );
    const group = groups.find(({ name }) => name === GROUP);
    // Redis no longer knows how many are undelivered once entries were deleted by hand: then at most all there are.
    const undelivered: number | null = group?.lag ?? null;
    const entries = undelivered === null ? Math.max(length, pending.pending) : undelivered + pending.pending;
    if (entries === 0) return { entries, oldestMs: 0 };
    const first = pending.firstId ?? `(${group?.['last-delivered-id'] ?? '0-0'}`;
    const sample = await client.xRange(key, first, '+', { COUNT: AGE_SAMPLE });
    const at = sample?.map(({ message }) => timeOf(message.e)).find((time) => time !== undefined);
    return { entries, oldestMs: at === undefined ? 0 : Math.max(0, Number(seconds) * 1000 - at) };
  }

  close(): Promise<void> {
    return this.#clients.close();
  }

  /**
   * XREADGROUP, decoded here: what this reader took before comes without fields once it is deleted, and the client's
   * own decoder throws a TypeError for it.
   */
  async #readGroup(after: string, options: string[]) {
    const { consumer, key } = this.#options;
    const command = ['XREADGROUP', 'GROUP', GROUP, consumer, ...options, 'STREAMS', key, after];
    const reply = (await this.#withGroup(() => this.#clients.reader.sendCommand(command))) as Reply;
    const given = reply?.[key] ?? [];
    return {
      entries: given.flatMap(([id, fields]) => (fields ? [entryOf(id, fieldE(fields))] : [])),
      deleted: given.flatMap(([id, fields]) => (fields ? [] : [id])),
      last: given.at(-1)?.[0],
    };
  }

  /** A group that is gone, with its stream or alone, begins anew at the start; the ledger knows what it has. */
  async #withGroup<Result>(command: () => Promise<Result>): Promise<Result> {
    try {
      return await command();
    } catch (error) {
      if (!(error instanceof ErrorReply) || !/^(NOGROUP|ERR no such key)/.test(error.message)) throw error;
    }
    await this.#createGroup();
    return command();
  }

  async #createGroup(): Promise<void> {
    const { key, log } = this.#options;
    try {
      await this.#clients.client.xGroupCreate(key, GROUP, '0', { MKSTREAM: true });
      log.info({ key, group: GROUP }, 'created the consumer group of the usage stream');
    } catch (error) {
      if (!(error instanceof ErrorReply) || !error.message.startsWith('BUSYGROUP')) throw error;
    }
  }

  async #timesDelivered(entries: StreamEntry[]): Promise<Map<string, number>> {
    const { consumer, key } = this.#options;
    const [first, last] = [entries[0]?.id as string, entries.at(-1)?.id as string];
    const pending = await this.#clients.client.xPendingRange(key, GROUP, first, last, entries.length, { consumer });
    return new Map(pending.map(({ deliveriesCounter, id }) => [id, deliveriesCounter]));
  }

  #countLost(ids: string[]): void {
    this.#lost.inc(ids.length);
    this.#options.log.error({ ids }, 'usage events were deleted from the stream before they reached the ledger');
  }
}

type Reply = Record<string, [id: string, fields: string[] | null][]> | null;

const entryOf = (id: string, event: string | undefined): StreamEntry => ({ id, event, redelivered: 0 });

/** Fields and values take turns. */
function fieldE(fields: string[]): string | undefined {
  const at = fields.findIndex((name, index) => index % 2 === 0 && name === 'e');
  return at < 0 ? undefined : fields[at + 1];
}

/** The event's own time; undefined if it cannot be read. */
function timeOf(event: string | undefined): number | undefined {
  try {
    const { at } = JSON.parse(event ?? '');
    return typeof at === 'number' ? at : undefined;
  } catch {
    return undefined;
  }
}
