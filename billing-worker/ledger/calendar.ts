import type { BillingCycle } from '../../schemas/config/tenants.ts';
import { anchorMonthOf, type Cycle, cycleAt, dayAt } from '../cycles.ts';

type Day = ReturnType<typeof dayAt>;

/**
 * The day and cycle of an instant, remembering the last day of each kind of cycle: a batch is mostly of one day, and
 * time zone arithmetic takes 50 µs an event, as long as the database takes to insert it.
 */
export class Calendar {
  readonly #last = new Map<string, { day: Day; cycle: Cycle }>();

  at(instant: number, config: BillingCycle): { day: Day; cycle: Cycle } {
    const key = `${config.period} ${anchorMonthOf(config)} ${config.anchor_day} ${config.timezone}`;
    const last = this.#last.get(key);
    if (last && last.day.start <= instant && instant < last.day.end) return last;
    const found = { day: dayAt(instant, config.timezone), cycle: cycleAt(instant, config) };
    this.#last.set(key, found);
    return found;
  }
}
