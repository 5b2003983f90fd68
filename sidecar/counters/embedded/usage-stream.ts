import type { Clock } from '../../../runtime/clock.ts';
import { type StreamEntry, type StreamLag, type UsageStream, usageStreamKey } from '../../../schemas/usage-stream.ts';
import type { Effect } from './effect.ts';
import type { State } from './state.ts';

/** The store has one partition, and its stream the name that this has in Redis. */
const STREAM = usageStreamKey(0);

export interface StreamOptions {
  state: State;
  clock: Clock;
  /** Changes the state, and resolves when that is written. */
  commit(effect: Effect): Promise<void>;
  /** Throws `CountersUnavailable` if nothing can be written any more. */
  check(): void;
  onClose(): Promise<void>;
}

/**
 * The usage stream of the embedded store, with its one reader in the same process. An entry is shown only once it is
 * written: what the ledger has must not be gone after a crash. It leaves memory when it is acknowledged.
 */
export class EmbeddedStream implements UsageStream {
  readonly #options: StreamOptions;
  readonly #state: State;
  /** When an entry was handed out by this process, in monotonic milliseconds. */
  readonly #takenAt = new Map<number, number>();
  readonly #waiting = new Set<() => void>();
  #written: number;
  #closed = false;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#state = options.state;
    this.#written = options.state.lastEntry;
  }

  /** Entries up to this number are written, and may be read. */
  writtenUpTo(number: number): void {
    if (number <= this.#written) return;
    this.#written = number;
    for (const wake of [...this.#waiting]) wake();
  }

  async read(count: number, waitMs: number): Promise<StreamEntry[]> {
    this.#options.check();
    let numbers = this.#unread(count);
    if (numbers.length === 0 && waitMs > 0 && !this.#closed) {
      await this.#more(waitMs);
      numbers = this.#closed ? [] : this.#unread(count);
    }
    return this.#deliver(numbers);
  }

  async reclaim(count: number, idleMs: number): Promise<StreamEntry[]> {
    this.#options.check();
    const takenBefore = this.#options.clock.monotonic() - idleMs;
    const numbers: number[] = [];
    for (const number of this.#state.stream.keys()) {
      if (numbers.length >= count || number > this.#state.lastDelivered) break;
      if ((this.#takenAt.get(number) ?? Number.NEGATIVE_INFINITY) <= takenBefore) numbers.push(number);
    }
    return this.#deliver(numbers);
  }

  async acknowledge(ids: string[]): Promise<void> {
    this.#options.check();
    const acknowledged = ids.map(Number).filter((number) => this.#state.stream.get(number)?.delivered);
    if (acknowledged.length === 0) return;
    for (const number of acknowledged) this.#takenAt.delete(number);
    await this.#options.commit({ acknowledged });
  }

  async lag(): Promise<StreamLag> {
    this.#options.check();
    const { clock } = this.#options;
    const [oldest] = this.#state.stream.values();
    return {
      entries: this.#state.stream.size,
      oldestMs: oldest ? Math.max(0, clock.now() - oldest.event.at) : 0,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const wake of [...this.#waiting]) wake();
    await this.#options.onClose();
  }

  /** Numbers are given without gaps, and an entry that was not delivered cannot have been acknowledged. */
  #unread(count: number): number[] {
    const first = this.#state.lastDelivered + 1;
    const length = Math.max(0, Math.min(count, this.#written - first + 1));
    return Array.from({ length }, (_, index) => first + index);
  }

  async #deliver(numbers: number[]): Promise<StreamEntry[]> {
    if (numbers.length === 0) return [];
    const now = this.#options.clock.monotonic();
    const entries = numbers.map((number) => this.#entry(number));
    for (const number of numbers) this.#takenAt.set(number, now);
    await this.#options.commit({
      delivered: entries.map(({ redelivered }, index) => [numbers[index] as number, redelivered + 1]),
    });
    return entries;
  }

  #entry(number: number): StreamEntry {
    const item = this.#state.stream.get(number);
    return {
      stream: STREAM,
      id: String(number),
      event: item?.event.json,
      redelivered: item?.delivered ?? 0,
    };
  }

  /** Until an entry is written, the stream is closed, or `waitMs` are over. */
  #more(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, waitMs);
      this.#waiting.add(wake);
    });
  }
}
