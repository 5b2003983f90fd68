import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { StreamEntry, UsageStream } from '../schemas/usage-stream.ts';
import { retry } from './retry.ts';

/** One transaction's worth: larger ones gain nothing, and hold their locks for longer. */
const BATCH_SIZE = 1_000;
/** Batches on their way at a time: the database writes one or two while the next is read and checked. */
const IN_FLIGHT = 3;
/** How long a read waits for an entry, and so how long a stop may take when there is nothing to do. */
const WAIT_MS = 1_000;
/** A reader that has left its entries for this long is taken for dead. */
const IDLE_MS = 60_000;
const RECLAIM_EVERY_MS = 15_000;

export interface ConsumerDeps {
  stream: UsageStream;
  /** Resolves when the entries are committed, each once, however often it is given. */
  append: (entries: StreamEntry[]) => Promise<void>;
  clock: Clock;
  log: Log;
  batchSize?: number;
  waitMs?: number;
  idleMs?: number;
  reclaimEveryMs?: number;
}

/**
 * Carries the usage stream into the ledger, batch by batch: take, commit, acknowledge. What was taken and not
 * acknowledged comes again, so a failure at any point loses nothing, and the ledger holds each event once. Some batches are on their
 * way at a time, and it makes no difference which of them is committed first.
 */
export class Consumer {
  readonly #deps: ConsumerDeps;
  readonly #stopping = new AbortController();
  /** Batches that were taken and are not acknowledged yet. */
  readonly #inFlight = new Set<Promise<void>>();
  #running: Promise<void> | undefined;
  #reclaimAt = 0;

  constructor(deps: ConsumerDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Finishes the batches at hand if the database and the stream are there; else leaves them for the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    this.#reclaimAt = this.#deps.clock.monotonic();
    while (!this.#stopping.signal.aborted) {
      try {
        const entries = await this.#take();
        if (entries.length) this.#begin(entries);
        if (this.#inFlight.size >= IN_FLIGHT) await Promise.race(this.#inFlight);
      } catch (error) {
        if (!this.#stopping.signal.aborted) throw error;
      }
    }
    await Promise.allSettled(this.#inFlight);
  }

  #begin(entries: StreamEntry[]): void {
    const batch = this.#ingest(entries).finally(() => this.#inFlight.delete(batch));
    // It is tried until it works, and so fails only in a stop, which waits for it.
    batch.catch(() => {});
    this.#inFlight.add(batch);
  }

  /** What this reader or a dead one left behind comes first. */
  async #take(): Promise<StreamEntry[]> {
    const { batchSize = BATCH_SIZE, clock, idleMs = IDLE_MS, stream, waitMs = WAIT_MS } = this.#deps;
    if (clock.monotonic() >= this.#reclaimAt) {
      // What is on its way is this reader's own, and would be taken for left behind.
      await Promise.all(this.#inFlight);
      const left = await this.#retry('reading the usage stream', () => stream.reclaim(batchSize, idleMs));
      if (left.length) return left;
      this.#reclaimAt = clock.monotonic() + (this.#deps.reclaimEveryMs ?? RECLAIM_EVERY_MS);
    }
    return this.#retry('reading the usage stream', async () => {
      try {
        return await stream.read(batchSize, waitMs);
      } catch (error) {
        // The store may have delivered what did not arrive.
        this.#reclaimAt = clock.monotonic();
        throw error;
      }
    });
  }

  async #ingest(entries: StreamEntry[]): Promise<void> {
    const { append, stream } = this.#deps;
    await this.#retry('writing the ledger', () => append(entries));
    await this.#retry('acknowledging usage events', () => stream.acknowledge(entries.map(({ id }) => id)));
  }

  #retry<Result>(what: string, attempt: () => Promise<Result>): Promise<Result> {
    return retry(attempt, { what, log: this.#deps.log, signal: this.#stopping.signal });
  }
}
