import { LRUCache } from 'lru-cache';

/**
 * Tells what comes again from what comes once. Who may remember only so much lets in what comes again: else what comes once would drive out
 * what comes often, and keep the garbage collector busy.
 */
export class AskedAgain {
  readonly #once: LRUCache<string, true>;

  /** So many are told apart. */
  constructor(max: number) {
    this.#once = new LRUCache({ max });
  }

  /** False the first time, true the second, and so on. */
  is(key: string): boolean {
    if (this.#once.delete(key)) return true;
    this.#once.set(key, true);
    return false;
  }
}
