import type { Limit, LimitOutcome } from '../../schemas/policy-io.ts';

/** What a store counted for one limit. */
export interface Counted {
  granted: boolean;
  before: number;
  used: number;
  resetAt: number;
  retryAfterMs: number | null;
  crossed: number[];
}

/** The outcome of one limit, from what the store counted. */
export function limitOutcome(
  { capacity, id, on_exceed }: Pick<Limit, 'id' | 'capacity' | 'on_exceed'>,
  counted: Counted,
): LimitOutcome {
  const { before, crossed, granted, resetAt, retryAfterMs, used } = counted;
  return {
    id,
    granted,
    over: !granted || used > capacity,
    crossed,
    on_exceed,
    capacity,
    before,
    used,
    remaining: Math.max(0, capacity - used),
    used_percent: capacity === 0 ? 100 : Math.floor((100 * used) / capacity),
    reset_at: resetAt,
    retry_after_ms: retryAfterMs,
  };
}
