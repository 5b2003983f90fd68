import { LRUCache } from 'lru-cache';
import { Calendar } from '../../runtime/calendar.ts';
import type { CalendarWindow } from '../../schemas/policy-io.ts';

type Rule = CalendarWindow['window'];

/**
 * Starts of the period before, of the one that holds the instant, and of the two after it. A store whose clock differs
 * from the caller's finds its own period among them, unless the two differ by about a period.
 */
export type Bounds = [before: number, start: number, next: number, afterNext: number];

const MINUTE_MS = 60_000;

/** Time zones and times of day are few; a policy that makes up more only computes them again. */
const known = new LRUCache<string, Bounds>({ max: 10_000 });

/** The calendar costs some 50 µs an instant, and its answer holds for a whole period. */
export function boundsAt(rule: Rule, instant: number): Bounds {
  const key = `${rule.period} ${rule.reset_day} ${rule.reset_time} ${rule.timezone}`;
  const last = known.get(key);
  if (last && last[1] <= instant && instant < last[2]) return last;
  const bounds = computeBounds(rule, instant);
  known.set(key, bounds);
  return bounds;
}

function computeBounds({ period, reset_day, reset_time, timezone }: Rule, instant: number): Bounds {
  const [hours, minutes] = reset_time.split(':').map(Number) as [number, number];
  const calendar = new Calendar({ period, day: reset_day, time: (hours * 60 + minutes) * MINUTE_MS, timezone });
  const { end, index, start } = calendar.at(instant);
  return [calendar.start(index - 1), start, end, calendar.start(index + 2)];
}
