/**
 * When days and months begin that are counted from some time of day, found by looking at a zone's clocks every quarter of an
 * hour: every zone's offset is a whole number of quarters, and so is every change of it. A period begins when
 * the clocks show a later date than they ever did, all of them put back by the time of day.
 */
const QUARTER_MS = 900_000;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** What the clocks show, as if it were UTC. */
function clocksOf(timeZone: string): (instant: number) => number {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  });
  return (instant) => {
    const shown: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(instant)) shown[type] = Number(value);
    const { day = 0, hour = 0, minute = 0, month = 0, year = 0 } = shown;
    return Date.UTC(year, month - 1, day, hour, minute);
  };
}

/** Months since year 0, each of which begins on its day, or its last. */
function monthOf(shown: number, resetDay: number): number {
  const date = new Date(shown);
  const month = date.getUTCFullYear() * 12 + date.getUTCMonth();
  const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  return date.getUTCDate() >= Math.min(resetDay, last) ? month : month - 1;
}

export interface Rule {
  timezone: string;
  /** `02:30` */
  resetTime: string;
  resetDays: number[];
}

export interface Starts {
  days: number[];
  /** By reset day. */
  months: Record<number, number[]>;
}

/** The starts of all days and months between two instants, the first excluded. */
export function startsBetween({ resetDays, resetTime, timezone }: Rule, from: number, to: number): Starts {
  const [hours, minutes] = resetTime.split(':').map(Number) as [number, number];
  const clocks = clocksOf(timezone);
  const later = new Map<string, number>();
  /** Whether this is the first time that it is so late. */
  const isFirst = (name: string, value: number) => {
    const latest = later.get(name) ?? value;
    later.set(name, Math.max(latest, value));
    return value > latest;
  };
  const starts: Starts = { days: [], months: Object.fromEntries(resetDays.map((day) => [day, []])) };
  for (let instant = from; instant <= to; instant += QUARTER_MS) {
    const shown = clocks(instant) - (hours * 60 + minutes) * MINUTE_MS;
    if (isFirst('day', Math.floor(shown / DAY_MS))) starts.days.push(instant);
    for (const day of resetDays) {
      if (isFirst(`month ${day}`, monthOf(shown, day))) starts.months[day]?.push(instant);
    }
  }
  return starts;
}
