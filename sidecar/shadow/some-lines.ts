import type { Clock } from '../../runtime/clock.ts';

const SECOND_MS = 1_000;

/** Lets so many lines a second into the log, and counts the others. */
export class SomeLines {
  readonly #clock: Clock;
  readonly #perSecond: number;
  #second = -1;
  #written = 0;
  #left = 0;

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
  }

  /** How many were left out since the last line; undefined if there is no room for this one either. */
  room(): number | undefined {
    const second = Math.floor(this.#clock.monotonic() / SECOND_MS);
    if (second !== this.#second) this.#written = 0;
    this.#second = second;
    if (this.#written >= this.#perSecond) {
      this.#left += 1;
      return undefined;
    }
    this.#written += 1;
    const left = this.#left;
    this.#left = 0;
    return left;
  }
}
