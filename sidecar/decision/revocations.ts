import type { Log } from '../../runtime/log.ts';
import type { CounterStore, Receipt } from '../counters/contract.ts';

/** Waits between tries, in milliseconds; the last one goes on. */
const WAITS = [50, 200, 1_000, 5_000];

/** More than this at once means a policy that refuses everything it was granted while the store is away. */
const MAX_PENDING = 10_000;

/**
 * Gives back what was taken for a decision that the policy then refused. The caller has its denial either way, so a
 * store that does not answer is asked again until it does; a void is done once however often it is repeated.
 */
export class Revocations {
  readonly #store: CounterStore;
  readonly #log: Log;
  readonly #pending = new Map<string, { receipt: Receipt; tries: number }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(store: CounterStore, log: Log) {
    this.#store = store;
    this.#log = log;
  }

  get pending(): number {
    return this.#pending.size;
  }

  async giveBack(decisionId: string, receipt: Receipt): Promise<void> {
    if (await this.#void(decisionId, receipt)) return;
    if (this.#pending.size >= MAX_PENDING) {
      this.#log.error({ decision_id: decisionId }, 'too many takes wait to be given back; this one stays charged');
      return;
    }
    this.#pending.set(decisionId, { receipt, tries: 0 });
    this.#schedule();
  }

  close(): void {
    clearTimeout(this.#timer);
    if (this.#pending.size)
      this.#log.error({ count: this.#pending.size }, 'takes that were to be given back stay charged');
  }

  async #void(decisionId: string, receipt: Receipt): Promise<boolean> {
    try {
      await this.#store.settle({ decisionId, kind: 'void', actual: {}, fingerprint: 'refused by the policy', receipt });
      return true;
    } catch (error) {
      this.#log.warn({ err: error, decision_id: decisionId }, 'a take could not be given back yet');
      return false;
    }
  }

  #schedule(): void {
    if (this.#timer) return;
    const tries = Math.max(...[...this.#pending.values()].map((entry) => entry.tries));
    this.#timer = setTimeout(() => void this.#retry(), WAITS[Math.min(tries, WAITS.length - 1)]);
    this.#timer.unref();
  }

  async #retry(): Promise<void> {
    for (const [decisionId, entry] of [...this.#pending]) {
      entry.tries += 1;
      if (!(await this.#void(decisionId, entry.receipt))) break;
      this.#pending.delete(decisionId);
    }
    this.#timer = undefined;
    if (this.#pending.size) this.#schedule();
  }
}
