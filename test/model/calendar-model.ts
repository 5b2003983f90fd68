import { DateTime, IANAZone } from 'luxon';
import type { CalendarWindow } from '../../schemas/policy-io.ts';

/**
 * Where in the calendar an instant lies, found by looking at clocks: a period begins at the first instant at which the
 * clocks of its zone show its date and time, or a later one where they skip it.
 */
type Rule = CalendarWindow['window'];

export interface ModelPeriod {
  start: number;
  end: number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

const zones = new Map<string, IANAZone>();
const starts = new Map<string, number>();
const periods = new Map<string, ModelPeriod>();

export function periodAt(rule: Rule, instant: number): ModelPeriod {
  const name = `${rule.period} ${rule.reset_day} ${rule.reset_time} ${rule.timezone}`;
  const known = periods.get(name);
  if (known && known.start <= instant && instant < known.end) return known;
  const zone = zoneOf(rule.timezone);
  const { day, month, year } = DateTime.fromMillis(instant, { zone });
  const around = datesAround(DateTime.utc(year, month, day), rule).map((date) =>
    firstShown(date, rule.reset_time, zone),
  );
  const start = Math.max(...around.filter((each) => each <= instant));
  const end = Math.min(...around.filter((each) => each > instant));
  periods.set(name, { start, end });
  return { start, end };
}

/** Local dates on which periods begin: two before, two after. */
function datesAround(date: DateTime, { period, reset_day }: Rule): DateTime[] {
  const near = [-2, -1, 0, 1, 2];
  if (period === 'day') return near.map((days) => date.plus({ days }));
  if (period === 'week') {
    const since = (date.weekday - reset_day + 7) % 7;
    return near.map((weeks) => date.plus({ weeks }).minus({ days: since }));
  }
  return near.map((months) => {
    const first = date.startOf('month').plus({ months });
    return first.set({ day: Math.min(reset_day, first.daysInMonth ?? 0) });
  });
}

function firstShown(date: DateTime, time: string, zone: IANAZone): number {
  const name = `${zone.name} ${date.toISODate()} ${time}`;
  const known = starts.get(name);
  if (known !== undefined) return known;
  const [hour, minute] = time.split(':').map(Number) as [number, number];
  const instant = lookForIt(date.set({ hour, minute }).toMillis(), zone);
  starts.set(name, instant);
  return instant;
}

/** `local` is what the clocks are to show, as if it were UTC. They are looked at minute by minute. */
function lookForIt(local: number, zone: IANAZone): number {
  const shown = (instant: number) => instant + zone.offset(instant) * MINUTE_MS;
  const offsets = [local - DAY_MS, local + DAY_MS].map((instant) => zone.offset(instant) * MINUTE_MS);
  let instant = local - Math.max(...offsets);
  while (shown(instant) < local) instant += MINUTE_MS;
  return instant;
}

function zoneOf(name: string): IANAZone {
  const zone = zones.get(name) ?? IANAZone.create(name);
  zones.set(name, zone);
  return zone;
}
