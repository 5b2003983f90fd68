/** The only place that reads the clock. Everything else is given a `Clock`, so that a test can set the time. */
export interface Clock {
  /** Epoch milliseconds. May jump: never subtract two of these to measure a duration. */
  now(): number;
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonic(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};
