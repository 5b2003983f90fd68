import type { Clock } from './clock.ts';

const EVERY_MS = 60_000;

/** For what goes on with every request and is worth a line in the log once a minute. */
export class Rarely {
  readonly #clock: Clock;
  #last: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True at most once a minute. */
  due(): boolean {
    const now = this.#clock.monotonic();
    if (this.#last !== undefined && now - this.#last < EVERY_MS) return false;
    this.#last = now;
    return true;
  }
}
