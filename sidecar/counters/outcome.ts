import { MAX_AMOUNT } from '../../schemas/amounts.ts';
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
    used_percent: percentOf(used, capacity),
    reset_at: resetAt,
    retry_after_ms: retryAfterMs,
  };
}

/** Rounded down, exactly: a hundred times the largest amounts is more than a double can tell. */
function percentOf(used: number, capacity: number): number {
  if (capacity === 0) return 100;
  return 100 * used <= MAX_AMOUNT
    ? Math.floor((100 * used) / capacity)
    : Number((100n * BigInt(used)) / BigInt(capacity));
}
