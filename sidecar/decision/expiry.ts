import type { Log } from '../../runtime/log.ts';
import type { CounterStore } from '../counters/contract.ts';

const EVERY_MS = 1_000;
/** So many to a call, one call after the other: a backlog is worked off at 10,000 a second and more. */
const BATCH = 100;
const MAX_BATCHES = 100;

/** Marks reservations that nobody settled in time, every second. Any number of sidecars may do so at once. */
export class Expiry {
  readonly #store: CounterStore;
  readonly #log: Log;
  #timer: NodeJS.Timeout | undefined;
  #failing = false;

  constructor(store: CounterStore, log: Log) {
    this.#store = store;
    this.#log = log;
  }

  start(): void {
    this.#timer = setTimeout(() => void this.#run().then(() => this.#timer && this.start()), EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #run(): Promise<void> {
    try {
      for (let batch = 0; batch < MAX_BATCHES && (await this.#store.expire(BATCH)) === BATCH; batch++);
      this.#failing = false;
    } catch (error) {
      // The store that is away is said to be away by every decision; once is enough here.
      if (!this.#failing) this.#log.warn({ err: error }, 'reservations cannot be marked as expired yet');
      this.#failing = true;
    }
  }
}
