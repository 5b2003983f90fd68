import { Consumer } from '../../billing-worker/consume.ts';
import type { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { systemClock } from '../../runtime/clock.ts';
import { createLog } from '../../runtime/log.ts';
import type { StreamEntry, StreamLag, UsageStream } from '../../schemas/usage-stream.ts';

/** Carries batches into the ledger as the worker does it, but for Redis; `onAcknowledged` is told how many are done with so far. */
export async function consume(
  batches: Iterable<StreamEntry[]>,
  ledger: Ledger,
  onAcknowledged: (done: number) => void = () => {},
): Promise<void> {
  const stream = new GivenStream(batches, onAcknowledged);
  const append = (entries: StreamEntry[]) => ledger.append(entries);
  const consumer = new Consumer({ stream, append, clock: systemClock, log: createLog('error'), waitMs: 1 });
  consumer.start();
  await stream.done;
  await consumer.stop();
}

/** A stream of entries that are at hand, which is read in the given batches, whatever count is asked for. */
class GivenStream implements UsageStream {
  /** When all of it is acknowledged. */
  readonly done: Promise<void>;
  readonly #batches: Iterator<StreamEntry[]>;
  readonly #onAcknowledged: (done: number) => void;
  #finish = () => {};
  #next: IteratorResult<StreamEntry[]>;
  #given = 0;
  #acknowledged = 0;

  constructor(batches: Iterable<StreamEntry[]>, onAcknowledged: (done: number) => void) {
    this.#batches = batches[Symbol.iterator]();
    this.#onAcknowledged = onAcknowledged;
    this.#next = this.#batches.next();
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  async read(_count: number, waitMs: number): Promise<StreamEntry[]> {
    if (this.#next.done) {
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      return [];
    }
    const batch = this.#next.value;
    this.#given += batch.length;
    this.#next = this.#batches.next();
    return batch;
  }

  async reclaim(): Promise<StreamEntry[]> {
    return [];
  }

  async acknowledge(ids: string[]): Promise<void> {
    this.#acknowledged += ids.length;
    this.#onAcknowledged(this.#acknowledged);
    if (this.#next.done && this.#acknowledged === this.#given) this.#finish();
  }

  async lag(): Promise<StreamLag> {
    return { entries: this.#given - this.#acknowledged, oldestMs: 0 };
  }

  async close(): Promise<void> {}
}
