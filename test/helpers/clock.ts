import type { Clock } from '../../runtime/clock.ts';

/** A clock that stands still until it is told otherwise. */
export class TestClock implements Clock {
  #now: number;
  #monotonic = 0;

  constructor(now = Date.parse('2026-01-01T00:00:00Z')) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  /** Time passes: both readings move. */
  advance(milliseconds: number): void {
    this.#now += milliseconds;
    this.#monotonic += milliseconds;
  }

  /** Somebody sets the clock: only the wall time moves, in either direction. */
  set(now: number): void {
    this.#now = now;
  }
}
