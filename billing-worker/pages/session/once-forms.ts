import { LRUCache } from 'lru-cache';
import { v4 as uuidv4 } from 'uuid';

const MOST = 10_000;

/** Forms that must not be sent twice, by a reload or a double click: a key would be issued twice. Of this process. */
export class OnceForms {
  readonly #used = new LRUCache<string, true>({ max: MOST });

  /** A mark for one form. */
  readonly mark = (): string => uuidv4();

  /** Whether it is the first time. */
  take(mark: string): boolean {
    if (mark === '' || this.#used.has(mark)) return false;
    this.#used.set(mark, true);
    return true;
  }
}
