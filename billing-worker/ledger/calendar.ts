import type { BillingCycle } from '../../schemas/config/tenants.ts';
import { anchorMonthOf, type Cycle, cycleAt, dayAt } from '../cycles.ts';

/** A day of a tenant's calendar and the billing cycle that it is in; the same object for all instants of it, mostly. */
export interface CalendarDay {
  day: ReturnType<typeof dayAt>;
  cycle: Cycle;
}

const DAY_MS = 86_400_000;
/** For each kind of cycle: more than ten years. */
const MOST_DAYS = 4_000;

/**
 * The day and cycle of an instant, remembering the days of each kind of cycle: time zone arithmetic takes 50 µs an event,
 * more than the database takes to insert it.
 */
export class Calendar {
  readonly #kinds = new Map<string, Map<number, CalendarDay[]>>();
  /** Of a configuration, so that its key is made once. */
  readonly #known = new WeakMap<BillingCycle, Map<number, CalendarDay[]>>();

  at(instant: number, config: BillingCycle): CalendarDay {
    const days = this.#known.get(config) ?? this.#kindOf(config);
    // A day of UTC has parts of two or three days of any other zone.
    const index = Math.floor(instant / DAY_MS);
    const near = days.get(index);
    const known = near?.find(({ day }) => day.start <= instant && instant < day.end);
    if (known) return known;
    const found = { day: dayAt(instant, config.timezone), cycle: cycleAt(instant, config) };
    if (days.size >= MOST_DAYS) days.clear();
    days.set(index, [...(days.get(index) ?? []), found]);
    return found;
  }

  #kindOf(config: BillingCycle): Map<number, CalendarDay[]> {
    const key = `${config.period} ${anchorMonthOf(config)} ${config.anchor_day} ${config.timezone}`;
    const days = this.#kinds.get(key) ?? new Map<number, CalendarDay[]>();
    this.#kinds.set(key, days);
    this.#known.set(config, days);
    return days;
  }
}
