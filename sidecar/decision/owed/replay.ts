import type { Log } from '../../../runtime/log.ts';
import type { CounterStore, Owed } from '../../counters/contract.ts';
import type { OwedJournal } from './journal.ts';
import type { Segment } from './segment.ts';

const EVERY_MS = 1_000;

/** So many under way: Redis is kept busy, and requests that come meanwhile find it free often enough. */
const CONCURRENCY = 16;

/** So often the store may refuse a grant while it answers others; a second and more lies between two tries. */
const MAX_TRIES = 5;

/**
 * Charges what was allowed while the store was away, the oldest first, as soon as it answers again. A grant is charged
 * once however often it is tried, so one whose answer is lost is tried again.
 */
export class Replay {
  readonly #journal: OwedJournal;
  readonly #store: CounterStore;
  readonly #log: Log;
  readonly #everyMs: number;
  readonly #tries = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(journal: OwedJournal, store: CounterStore, log: Log, everyMs: number = EVERY_MS) {
    this.#journal = journal;
    this.#store = store;
    this.#log = log;
    this.#everyMs = everyMs;
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#running = this.#round().finally(() => {
        if (!this.#stopped) this.start();
      });
    }, this.#everyMs);
    this.#timer.unref();
  }

  /** Resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  /** One try of all that is owed. Ends early when the store is away: with a breaker before it, that is known at once. */
  async #round(): Promise<void> {
    if (this.#journal.isEmpty || !(await this.#answers())) return;
    try {
      for (const segment of await this.#journal.segments()) {
        if (!(await this.#charge(segment))) return;
      }
    } catch (error) {
      this.#log.error({ err: error }, 'what was allowed while the counters were away cannot be read or put aside');
    }
  }

  /** False when the store went away, or nothing more is to be done. */
  async #charge(segment: Segment): Promise<boolean> {
    const queue = (await this.#journal.read(segment)).values();
    let goOn = true;
    const work = async () => {
      for (const owed of queue) {
        goOn = goOn && !this.#stopped && (await this.#charged(segment, owed));
        if (!goOn) return;
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, work));
    if (segment.pending.size === 0) await this.#journal.finish(segment);
    return goOn;
  }

  async #charged(segment: Segment, owed: Owed): Promise<boolean> {
    const { decisionId } = owed;
    let name = decisionId;
    try {
      const result = await this.#store.owe(owed);
      // Its request id was granted for another body, by another sidecar: both were allowed, so both are charged.
      if (result.kind === 'conflict') await this.#store.owe({ ...owed, requestId: undefined });
      if (result.kind === 'replayed') name = result.decisionId;
    } catch (error) {
      return this.#failed(segment, owed, error);
    }
    this.#tries.delete(decisionId);
    this.#journal.charged(segment, decisionId, name);
    return true;
  }

  /** Whether to go on with the next one: this one fails by itself. */
  async #failed(segment: Segment, owed: Owed, error: unknown): Promise<boolean> {
    if (!(await this.#answers())) return false;
    const tries = (this.#tries.get(owed.decisionId) ?? 0) + 1;
    this.#tries.set(owed.decisionId, tries);
    if (tries === 1) this.#log.warn({ err: error, decision_id: owed.decisionId }, 'not charged yet; tried again');
    if (tries < MAX_TRIES) return true;
    await this.#journal.refuse(segment, owed, error);
    this.#tries.delete(owed.decisionId);
    return true;
  }

  async #answers(): Promise<boolean> {
    try {
      await this.#store.ping();
      return true;
    } catch {
      return false;
    }
  }
}
