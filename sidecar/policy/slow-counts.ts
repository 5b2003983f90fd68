/** What became of evaluations that took long. Of all policies together: it goes on over a reload. */
export interface SlowCounts {
  /** Moved out of the others' way. */
  moved: number;
  /** Took longer than POLICY_TIMEOUT_MS. */
  timed_out: number;
  /** Not evaluated: the same input had just timed out, or too many that take long were waiting. */
  refused: number;
}

export const noneSlow = (): SlowCounts => ({ moved: 0, timed_out: 0, refused: 0 });
