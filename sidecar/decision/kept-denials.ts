import type { Clock } from '../../runtime/clock.ts';

/** So many denials of one caller in one second of the monotonic clock are kept one by one. */
const KEPT_PER_SECOND = 10;

/** One of the denials that may be kept: whose, and of which second. */
export interface Place {
  readonly taken: Map<string, number>;
  readonly key: string;
}

/**
 * Who may leave one more denied event in this second. A place is taken before the store is asked: of many requests at
 * once, only so many may then leave an event as there are places. One that is given back leaves nothing behind, so that
 * only callers with a denial, or with a request under way, are remembered.
 */
export class KeptDenials {
  readonly #clock: Clock;
  readonly #maxCallers: number;
  #second = -1;
  #taken = new Map<string, number>();

  constructor(clock: Clock, maxCallers: number) {
    this.#clock = clock;
    this.#maxCallers = maxCallers;
  }

  /** `key`: of the caller. Undefined: it had its share, or there are too many callers to tell. */
  place(key: string): Place | undefined {
    const taken = this.#ofThisSecond();
    const before = taken.get(key);
    if (before === undefined ? taken.size >= this.#maxCallers : before >= KEPT_PER_SECOND) return undefined;
    taken.set(key, (before ?? 0) + 1);
    return { taken, key };
  }

  /** No denial came of it: another may have the place. */
  giveBack({ key, taken }: Place): void {
    const left = (taken.get(key) ?? 0) - 1;
    if (left > 0) taken.set(key, left);
    else taken.delete(key);
  }

  #ofThisSecond(): Map<string, number> {
    const second = Math.floor(this.#clock.monotonic() / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#taken = new Map();
    }
    return this.#taken;
  }
}
