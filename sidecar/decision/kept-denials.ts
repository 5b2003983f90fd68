import type { Clock } from '../../runtime/clock.ts';
import { type Caller, callerKey } from './denial-counts.ts';

/** So many denials of one caller in one second of the monotonic clock are kept one by one. */
const KEPT_PER_SECOND = 10;

/** Callers of one second. */
interface Second {
  number: number;
  callers: Map<string, Place>;
  /** How many of them have neither a denial nor a request under way. */
  idle: number;
}

/** One caller's share of a second: how many of its denials may still be kept. */
export interface Place {
  taken: number;
  readonly second: Second;
}

/**
 * Who may leave one more denied event in this second. A place is taken before the store is asked: of many requests at
 * once, only so many may then leave an event as there are places. One that is given back leaves nothing behind but the caller's
 * name, and that only until another needs the room: to forget it at once made a map of callers who are all granted be
 * built anew again and again, 1 µs and 0.6 kB a decision.
 */
export class KeptDenials {
  readonly #clock: Clock;
  readonly #maxCallers: number;
  #second: Second = { number: -1, callers: new Map(), idle: 0 };

  constructor(clock: Clock, maxCallers: number) {
    this.#clock = clock;
    this.#maxCallers = maxCallers;
  }

  /** Undefined: this caller had its share, or there are too many callers to tell. */
  place(caller: Caller): Place | undefined {
    const second = this.#thisSecond();
    const key = callerKey(caller);
    const known = second.callers.get(key);
    if (!known) return this.#isFull(second) ? undefined : newPlace(second, key);
    if (known.taken >= KEPT_PER_SECOND) return undefined;
    if (known.taken === 0) second.idle -= 1;
    known.taken += 1;
    return known;
  }

  /** No denial came of it: another may have the place. */
  giveBack(place: Place): void {
    place.taken -= 1;
    if (place.taken === 0) place.second.idle += 1;
  }

  #thisSecond(): Second {
    const number = Math.floor(this.#clock.monotonic() / 1_000);
    if (number !== this.#second.number) this.#second = { number, callers: new Map(), idle: 0 };
    return this.#second;
  }

  /** Forgets who is idle where there is no room. Only where they are many: nobody goes through all callers for each request. */
  #isFull(second: Second): boolean {
    const { callers, idle } = second;
    if (callers.size < this.#maxCallers) return false;
    if (idle === 0 || idle < this.#maxCallers / 8) return true;
    for (const [key, { taken }] of callers) if (taken === 0) callers.delete(key);
    second.idle = 0;
    return false;
  }
}

function newPlace(second: Second, key: string): Place {
  const place = { taken: 1, second };
  second.callers.set(key, place);
  return place;
}
