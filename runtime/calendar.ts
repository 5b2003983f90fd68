import { DateTime, IANAZone } from 'luxon';

/** Half-open: `start` belongs to it, `end` to the next one. Epoch milliseconds. */
export interface Period {
  start: number;
  end: number;
}

export interface Anchor {
  period: 'day' | 'week' | 'month' | 'quarter' | 'year';
  /** Day of the month (a month without it: its last), or ISO weekday. Of no meaning for days. */
  day: number;
  /** In which month of each quarter (1–3) or year (1–12) it begins; without it the first. Of no meaning for others. */
  month?: number;
  /** Local time of day, in milliseconds. */
  time?: number;
  timezone: string;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const MONTHS_OF = { month: 1, quarter: 3, year: 12 };
/** 2000-01-03 was a Monday. */
const A_MONDAY = Date.UTC(2000, 0, 3);

/**
 * Periods of the calendar of a time zone, numbered. Each begins at the first instant of its anchor, counted from the
 * anchor itself and never from the last boundary: a month without the 31st ends one early, and the next month's is
 * the 31st again. So periods tile time, with neither gap nor overlap.
 */
export class Calendar {
  readonly #anchor: Anchor;
  readonly #zone: IANAZone;

  constructor(anchor: Anchor) {
    this.#anchor = anchor;
    this.#zone = IANAZone.create(anchor.timezone);
  }

  /** The period that holds an instant. */
  at(instant: number): Period & { index: number } {
    // The date of an instant only tells the index to within one: before the anchor's day or time, or where a clock that
    // was set back over it had shown it before.
    let index = this.#indexOf(localDate(instant, this.#zone));
    let start = this.start(index);
    while (instant < start) start = this.start(--index);
    let end = this.start(index + 1);
    while (instant >= end) {
      start = end;
      end = this.start(++index + 1);
    }
    return { start, end, index };
  }

  /** The first instant of a period. */
  start(index: number): number {
    return firstInstant(this.dateOf(index) + (this.#anchor.time ?? 0), this.#zone);
  }

  /** The local date on which a period begins, as the UTC midnight of that date. */
  dateOf(index: number): number {
    const { day, period } = this.#anchor;
    if (period === 'day') return index * DAY_MS;
    if (period === 'week') return A_MONDAY + (index * 7 + day - 1) * DAY_MS;
    const months = index * MONTHS_OF[period] + this.#firstMonth;
    const year = Math.floor(months / 12);
    const month = months - year * 12;
    const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
    return Date.UTC(year, month, Math.min(day, lastDay));
  }

  /** Days since 1970, weeks since that Monday, or months, quarters or years since year 0. */
  #indexOf(date: number): number {
    const { day, period } = this.#anchor;
    if (period === 'day') return date / DAY_MS;
    if (period === 'week') return Math.floor((date - A_MONDAY - (day - 1) * DAY_MS) / (7 * DAY_MS));
    const of = new Date(date);
    const months = of.getUTCFullYear() * 12 + of.getUTCMonth();
    return Math.floor((months - this.#firstMonth) / MONTHS_OF[period]);
  }

  /** Counted from 0, within the period. */
  get #firstMonth(): number {
    const { month = 1, period } = this.#anchor;
    return period === 'quarter' || period === 'year' ? month - 1 : 0;
  }
}

function localDate(instant: number, zone: IANAZone): number {
  const { day, month, year } = DateTime.fromMillis(instant, { zone });
  return Date.UTC(year, month - 1, day);
}

/**
 * The first instant at which a zone's clocks show a local time: the first of two where they are set back over it, and
 * where they skip it the instant of the change. `local` is that time as if it were UTC.
 */
function firstInstant(local: number, zone: IANAZone): number {
  const offsetAt = (instant: number) => zone.offset(instant) * MINUTE_MS;
  const candidates = [local - offsetAt(local - DAY_MS), local - offsetAt(local + DAY_MS)].sort((a, b) => a - b);
  const exact = candidates.find((instant) => instant + offsetAt(instant) === local);
  if (exact !== undefined) return exact;
  let [before, after] = [candidates[0] as number, candidates[1] as number];
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (middle + offsetAt(middle) < local) before = middle;
    else after = middle;
  }
  return after;
}
