import type { Limit } from '../../schemas/policy-io.ts';

/** Nominal lengths: a month is said to have 30 days, whatever the calendar says of the one that runs. */
const SECONDS = { day: 86_400, week: 604_800, month: 2_592_000 };

/** How long a limit's period is, in seconds; undefined where it has none. */
export function windowSeconds(limit: Limit): number | undefined {
  if (limit.kind === 'token_bucket') return limit.refill.per_seconds;
  return limit.kind === 'window' ? SECONDS[limit.window.period] : undefined;
}
