import { DateTime } from 'luxon';
import type { Cycle } from '../cycles.ts';

/** How instants are told to a tenant: as the dates of its time zone. */
export class Describe {
  readonly #zone: string;

  constructor(timezone: string) {
    this.#zone = timezone;
  }

  /** `2026`, `2026-09`, `2026-09-15 to 2026-10-14`. */
  cycle({ end, start }: Cycle): string {
    const first = this.#local(start);
    const next = this.#local(end);
    if (isFirst(first, 'year') && +first.plus({ years: 1 }) === end) return first.toFormat('yyyy');
    if (isFirst(first, 'month') && +first.plus({ months: 1 }) === +next) return first.toFormat('yyyy-MM');
    return this.range(start, end);
  }

  /** Both dates belong to it. */
  range(from: number, to: number): string {
    return `${this.#local(from).toISODate()} to ${this.#local(to - 1).toISODate()}`;
  }

  /** A date, with the time if it is not its midnight. */
  instant(instant: number): string {
    const local = this.#local(instant);
    return local.toFormat(isFirst(local, 'day') ? 'yyyy-MM-dd' : 'yyyy-MM-dd HH:mm:ss ZZ');
  }

  #local(instant: number): DateTime {
    return DateTime.fromMillis(instant, { zone: this.#zone });
  }
}

const isFirst = (local: DateTime, unit: 'year' | 'month' | 'day') => +local === +local.startOf(unit);

/** `1,234,567` */
export const grouped = (tokens: bigint): string => tokens.toLocaleString('en-US');

/** `claude-sonnet-4-5` of `anthropic/claude-sonnet-4-5`. */
export const modelName = (id: string): string => (id.endsWith('*') ? id : id.slice(id.lastIndexOf('/') + 1));
