import { Counter, type Registry } from 'prom-client';
import { ErrorReply } from 'redis';
import type { Log } from '../../runtime/log.ts';
import type { StreamEntry, StreamLag, UsageStream } from '../../schemas/usage-stream.ts';
import { type Backlog, type Delivery, GROUP, type GroupState, type StreamCommands } from './stream-commands.ts';
import { lowerId, nextId } from './stream-id.ts';

/** Of how many entries the first one with a readable time tells the age of the oldest. */
const AGE_SAMPLE = 10;

export interface LedgerStreamOptions {
  key: string;
  registry: Registry;
  log: Log;
}

/** The usage stream in a Redis, whatever client speaks to it. */
export class LedgerStream implements UsageStream {
  readonly #commands: StreamCommands;
  readonly #options: LedgerStreamOptions;
  readonly #lost: Counter;
  /** Up to where this reader has read again what it took and did not acknowledge; undefined when through. */
  #ownAfter: string | undefined = '0';
  #claimFrom = '0-0';

  constructor(commands: StreamCommands, options: LedgerStreamOptions) {
    this.#commands = commands;
    this.#options = options;
    this.#lost = lostEntries(options.registry);
  }

  read(count: number, waitMs: number): Promise<StreamEntry[]> {
    return this.#delivering(async () => this.#kept(await this.#withGroup(() => this.#commands.readNew(count, waitMs))));
  }

  reclaim(count: number, idleMs: number): Promise<StreamEntry[]> {
    return this.#delivering(() => this.#reclaim(count, idleMs));
  }

  /** What was delivered into a broken connection is this reader's now, and nobody else's for a while. */
  async #delivering(deliver: () => Promise<StreamEntry[]>): Promise<StreamEntry[]> {
    try {
      return await deliver();
    } catch (error) {
      this.#ownAfter = '0';
      throw error;
    }
  }

  async #reclaim(count: number, idleMs: number): Promise<StreamEntry[]> {
    const entries = (await this.#reclaimOwn(count)) ?? (await this.#claimLeft(count, idleMs));
    const [first, last] = [entries.at(0), entries.at(-1)];
    if (!first || !last) return [];
    const times = await this.#commands.timesDelivered(first.id, last.id, entries.length);
    return entries.map((entry) => ({ ...entry, redelivered: (times.get(entry.id) ?? 1) - 1 }));
  }

  /** Undefined: there is nothing of this reader's own left. */
  async #reclaimOwn(count: number): Promise<StreamEntry[] | undefined> {
    while (this.#ownAfter !== undefined) {
      const after = this.#ownAfter;
      const held = await this.#withGroup(() => this.#commands.readOwn(after, count));
      const deleted = held.flatMap(([id, fields]) => (fields ? [] : [id]));
      if (deleted.length) {
        await this.#commands.acknowledge(deleted);
        this.#countLost(deleted);
      }
      this.#ownAfter = held.at(-1)?.[0];
      const entries = this.#kept(held);
      if (entries.length) return entries;
    }
    return undefined;
  }

  async #claimLeft(count: number, idleMs: number): Promise<StreamEntry[]> {
    const idle = await this.#claimIdle(count, idleMs);
    return idle.length ? idle : this.#claimForgotten(count, idleMs);
  }

  async #claimIdle(count: number, idleMs: number): Promise<StreamEntry[]> {
    do {
      const claimed = await this.#withGroup(() => this.#commands.claim(this.#claimFrom, count, idleMs));
      this.#claimFrom = claimed.next;
      if (claimed.deleted.length) this.#countLost(claimed.deleted);
      const entries = this.#kept(claimed.entries);
      if (entries.length) return entries;
    } while (this.#claimFrom !== '0-0');
    return [];
  }

  /**
   * What was delivered and is held by nobody, because its reader was deleted, or the group was set beyond it by hand. As what is
   * done is deleted, it becomes the oldest that there is, older than all that is held.
   */
  async #claimForgotten(count: number, idleMs: number): Promise<StreamEntry[]> {
    const [any] = await this.#commands.oldest('+', 1);
    if (!any) return [];
    const { group } = await this.#backlog();
    const forgotten = group ? await this.#commands.oldest(`(${undone(group)}`, count) : [];
    if (!forgotten.length) return [];
    const ids = forgotten.map(([id]) => id);
    const entries = this.#kept(await this.#commands.claimForgotten(ids, idleMs));
    const { key, log } = this.#options;
    if (entries.length) log.warn({ key, count: entries.length }, 'usage events that no reader held are taken again');
    return entries;
  }

  async acknowledge(ids: string[]): Promise<void> {
    if (ids.length > 0) await this.#commands.acknowledge(ids);
  }

  /** What is done is deleted, so all that is there waits; what was deleted by others while it was held, does too. */
  async lag(): Promise<StreamLag> {
    const { group, length, now } = await this.#backlog();
    const entries = Math.max(length, group?.pending ?? 0);
    if (entries === 0) return { entries, oldestMs: 0 };
    const sample = await this.#commands.oldest('+', AGE_SAMPLE);
    const at = this.#kept(sample)
      .map(({ event }) => timeOf(event))
      .find((time) => time !== undefined);
    return { entries, oldestMs: at === undefined ? 0 : Math.max(0, now - at) };
  }

  close(): Promise<void> {
    return this.#commands.close();
  }

  /** Without a group nobody can read, so it is made here too: a server that refuses it is not answered for. */
  async #backlog(): Promise<Backlog> {
    const backlog = await this.#withGroup(() => this.#commands.backlog());
    if (backlog.group) return backlog;
    await this.#createGroup();
    return this.#commands.backlog();
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
      await this.#commands.createGroup();
      log.info({ key, group: GROUP }, 'created the consumer group of the usage stream');
    } catch (error) {
      if (!(error instanceof ErrorReply) || !error.message.startsWith('BUSYGROUP')) throw error;
    }
  }

  /** Without what was deleted. */
  #kept(deliveries: Delivery[]): StreamEntry[] {
    const stream = this.#options.key;
    return deliveries.flatMap(([id, fields]) =>
      fields ? [{ stream, id, event: fieldE(fields), redelivered: 0 }] : [],
    );
  }

  #countLost(ids: string[]): void {
    this.#lost.inc(ids.length);
    const { key, log } = this.#options;
    log.error({ key, ids }, 'usage events were deleted from the stream before they reached the ledger');
  }
}

/** One counter, however many partitions the stream has. */
function lostEntries(registry: Registry): Counter {
  const name = 'openclaw_usage_stream_lost_entries_total';
  const help = 'Usage events that were deleted from the stream before they were acknowledged: lost for the ledger.';
  return (registry.getSingleMetric(name) as Counter | undefined) ?? new Counter({ name, help, registers: [registry] });
}

/** The lowest id that a reader holds or has yet to be given: what is older and still there is held by nobody. */
function undone({ firstPending, lastDelivered }: GroupState): string {
  const undelivered = nextId(lastDelivered);
  return firstPending === undefined ? undelivered : lowerId(firstPending, undelivered);
}

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
