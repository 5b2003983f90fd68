import type { Counter, State } from './state.ts';

/**
 * Drops what time has made meaningless: counters that can only be full, and records past their 24 hours. Each call looks
 * at a bounded number of them and goes on where the last one stopped, so that memory is bounded and no call is long.
 * Nothing of it is journaled: what was dropped before a crash is dropped again after it.
 */
export class Sweep {
  readonly #state: State;
  #counters: Iterator<[string, Counter]>;

  constructor(state: State) {
    this.#state = state;
    this.#counters = state.counters.entries();
  }

  /** Looks at up to `budget` counters and as many records. */
  run(now: number, budget: number): void {
    for (let looked = 0; looked < budget; looked++) if (!this.#nextCounter(now)) break;
    for (let looked = 0; looked < budget; looked++) if (!this.#oldestRecord(now)) break;
  }

  #nextCounter(now: number): boolean {
    const { done, value } = this.#counters.next();
    if (done) {
      this.#counters = this.#state.counters.entries();
      return false;
    }
    const [key, counter] = value;
    if (now >= counter.emptyAt) this.#state.counters.delete(key);
    return true;
  }

  /** All live equally long, so the oldest is the first to go. */
  #oldestRecord(now: number): boolean {
    const { open, records, requests } = this.#state;
    for (const [decisionId, { expiresAt, requestKey }] of records) {
      if (now < expiresAt) return false;
      records.delete(decisionId);
      open.delete(decisionId);
      if (requestKey !== null && requests.get(requestKey) === decisionId) requests.delete(requestKey);
      return true;
    }
    return false;
  }
}
