import { MAX_AMOUNT } from '../../schemas/amounts.ts';
import type { CalendarWindow } from '../../schemas/policy-io.ts';

/**
 * A calendar window's arithmetic, pure. The calendar itself is in `periods.ts`: here a period is known by its start.
 * The same in Lua: `redis/lua/includes/calendar-window.lua`.
 */
export interface WindowState {
  /** In use in the running period. */
  used: number;
  /** Epoch milliseconds at which the running period began. */
  start: number;
  /** What was left of the period before, added to this one's capacity. */
  carried: number;
  /** The highest threshold announced in the period, in percent. */
  announced: number;
}

/** A clock set back by less than this keeps the period that had begun; by more, its use counts for the one that it shows. */
const KEPT_MS = 3_600_000;

/** Milliseconds of a usual period: they tell how many have passed, because no real one differs by as much as half. */
export const USUAL_MS: Record<CalendarWindow['window']['period'], number> = {
  day: 86_400_000,
  week: 604_800_000,
  month: 2_629_746_000,
};

/** The window as it is at `now`, which lies in the period that begins at `start`. */
export function enter(state: WindowState | undefined, limit: CalendarWindow, start: number, now: number): WindowState {
  if (!state) return { used: 0, start, carried: 0, announced: 0 };
  if (state.start === start) return state;
  if (state.start > start) return state.start - now < KEPT_MS ? state : { ...state, start };
  return { used: 0, start, carried: carriedOver(state, limit, start), announced: 0 };
}

/** A period without a request counts as wholly unused. */
function carriedOver(state: WindowState, { capacity, window }: CalendarWindow, start: number): number {
  const max = window.rollover?.max ?? 0;
  const left = Math.max(0, capacity - (state.used - state.carried));
  const idle = Math.max(1, Math.round((start - state.start) / USUAL_MS[window.period])) - 1;
  return Math.min(max, left + Math.min(idle * capacity, MAX_AMOUNT));
}

/** What the running period may use altogether. */
export const windowCapacity = ({ carried }: WindowState, { capacity }: CalendarWindow): number =>
  Math.min(MAX_AMOUNT, capacity + carried);
