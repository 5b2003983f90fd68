import type { CalendarWindow } from '../../schemas/policy-io.ts';
import { periodAt } from './calendar-model.ts';

/** A calendar window: what was used in a period, and what was carried into it. */
export interface WindowModel {
  used: bigint;
  /** When its period began: a period is known by nothing else. */
  start: number;
  carried: bigint;
  announced: number;
}

const HOUR_MS = 3_600_000;
const LARGEST = 2n ** 53n - 1n;

const least = (a: bigint, b: bigint) => (a < b ? a : b);
const atLeastNothing = (a: bigint) => (a > 0n ? a : 0n);

/** The window as it is at `now`. */
export function windowAt(stored: WindowModel | undefined, limit: CalendarWindow, now: number): WindowModel {
  const { start } = periodAt(limit.window, now);
  if (!stored) return { used: 0n, start, carried: 0n, announced: 0 };
  if (stored.start === start) return stored;
  // Set back by less than an hour the clock keeps the period; by more, what was used counts for the one that it shows.
  if (stored.start > start) return stored.start - now < HOUR_MS ? stored : { ...stored, start };
  return { used: 0n, start, carried: carriedInto(start, stored, limit), announced: 0 };
}

/** Period by period: what is left of one is carried into the next, up to the cap. */
function carriedInto(start: number, stored: WindowModel, { capacity, window }: CalendarWindow): bigint {
  const most = BigInt(window.rollover?.max ?? 0);
  let carried = least(most, atLeastNothing(BigInt(capacity) + stored.carried - stored.used));
  for (const _ of idlePeriods(stored.start, start, window)) {
    const next = least(most, BigInt(capacity) + carried);
    if (next === carried) break;
    carried = next;
  }
  return carried;
}

/** The periods between two that begin at these instants. */
function* idlePeriods(from: number, to: number, rule: CalendarWindow['window']): Generator<number> {
  const first = periodAt(rule, from);
  if (first.start === from) {
    for (let { end } = first; end < to; { end } = periodAt(rule, end)) yield end;
    return;
  }
  // The rule was another one: so many as there is time for, rounded.
  const usual = { day: 1, week: 7, month: 30.436875 }[rule.period] * 86_400_000;
  for (let count = 1; count < Math.round((to - from) / usual); count++) yield from + count * usual;
}

export const windowCapacity = ({ carried }: WindowModel, { capacity }: CalendarWindow): bigint =>
  least(LARGEST, BigInt(capacity) + carried);

/** A period that a clock set back has not reached again ends when it would have ended. */
export const windowEnd = ({ start }: WindowModel, { window }: CalendarWindow, now: number): number =>
  periodAt(window, Math.max(start, now)).end;
