import type { Clock } from '../../runtime/clock.ts';

/** A clock that shows what it was last set to. */
export class SimulatedClock implements Clock {
  #at: number;

  /** Epoch milliseconds. */
  constructor(at: number) {
    this.#at = at;
  }

  now(): number {
    return this.#at;
  }

  monotonic(): number {
    return this.#at;
  }

  set(at: number): void {
    this.#at = at;
  }
}
