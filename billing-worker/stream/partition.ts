import type { Clock } from '../../runtime/clock.ts';
import type { StreamEntry, UsageStream } from '../../schemas/usage-stream.ts';

/** Who failed is left alone for so long: asked at once again, it would be asked with every batch of the others. */
const REST_MS = 500;

/** What others hold is theirs, however long they have held it. */
const NEVER_IDLE = Number.MAX_SAFE_INTEGER;

/** Asks a partition's stream for up to `count` entries. */
export type Question = (stream: UsageStream, count: number) => Promise<StreamEntry[]>;

/**
 * One partition of the usage stream, which keeps its failures to itself and makes up for them: what was delivered and
 * did not arrive is read again before anything new, and what could not be acknowledged is acknowledged before that. It is
 * asked one thing at a time, and nobody has to wait for it: what comes late is there for the next who asks.
 */
export class Partition {
  readonly #stream: UsageStream;
  readonly #clock: Clock;
  readonly #arrived: StreamEntry[] = [];
  readonly #unacknowledged = new Set<string>();
  /** There may be entries that this reader took, in this process or before its start, and that did not arrive. */
  #owed = true;
  /** What it is asked now. */
  #answering: Promise<void> | undefined;
  #failure: unknown;
  #restUntil = Number.NEGATIVE_INFINITY;

  constructor(stream: UsageStream, clock: Clock) {
    this.#stream = stream;
    this.#clock = clock;
  }

  /** Why it could not be asked the last time; undefined if it could. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Up to `count` entries, or those that are there when `patience` ends. Never rejects. */
  async next(count: number, question: Question, patience: Promise<void>): Promise<StreamEntry[]> {
    if (!this.#arrived.length && this.#clock.monotonic() >= this.#restUntil) {
      const asking = this.#alone(async () => void this.#arrived.push(...(await this.#ask(count, question))));
      await Promise.race([asking, patience]);
    }
    return this.#arrived.splice(0, count);
  }

  /** At the latest with the next question that it answers; after the one that it is asked now. Never rejects. */
  async acknowledge(ids: string[], patience: Promise<void>): Promise<void> {
    for (const id of ids) this.#unacknowledged.add(id);
    const settling = (this.#answering ?? Promise.resolve()).then(() => this.#alone(() => this.#settle()));
    await Promise.race([settling, patience]);
  }

  async #ask(count: number, question: Question): Promise<StreamEntry[]> {
    await this.#settle();
    if (this.#owed) {
      const left = await this.#stream.reclaim(count, NEVER_IDLE);
      if (left.length) return left;
      this.#owed = false;
    }
    return question(this.#stream, count);
  }

  async #settle(): Promise<void> {
    const ids = [...this.#unacknowledged];
    if (!ids.length) return;
    await this.#stream.acknowledge(ids);
    for (const id of ids) this.#unacknowledged.delete(id);
  }

  async #alone(work: () => Promise<void>): Promise<void> {
    if (this.#answering) return;
    this.#answering = this.#attempt(work);
    await this.#answering;
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#failure = undefined;
    } catch (error) {
      this.#failure = error;
      this.#owed = true;
      this.#restUntil = this.#clock.monotonic() + REST_MS;
    } finally {
      this.#answering = undefined;
    }
  }
}
