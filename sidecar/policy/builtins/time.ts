import { DateTime } from 'luxon';
import { exact } from './exact.ts';
import type { Builtins } from './types.ts';

/** Nanoseconds since the epoch, or these with a time zone. */
type Instant = number | [ns: number, zone: string, ...more: unknown[]];

const DURATION_UNITS: Record<string, bigint> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

interface Moment {
  /** To the millisecond. */
  at: DateTime<true>;
  /** What is beyond, in whole microseconds: an argument above 2^53 arrives rounded to 256 ns. */
  micros: number;
}

/** Undefined for an unknown time zone, and for "Local", whose meaning would be this machine's. */
function momentOf(instant: Instant): Moment | undefined {
  const [ns, zone] = Array.isArray(instant) ? [instant[0], instant[1] || 'UTC'] : [instant, 'UTC'];
  if (zone === 'Local') return undefined;
  const totalMicros = Math.round(ns / 1_000);
  const ms = Math.floor(totalMicros / 1_000);
  const at = DateTime.fromMillis(ms, { zone, locale: 'en' });
  return at.isValid ? { at, micros: totalMicros - ms * 1_000 } : undefined;
}

const nanoseconds = ({ at, micros }: Moment): ArrayBuffer =>
  exact(BigInt(at.toMillis()) * 1_000_000n + BigInt(micros) * 1_000n);

function parseRfc3339(text: string): ArrayBuffer | undefined {
  const match = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,](\d+))?(?:Z|[+-]\d\d:\d\d)$/.exec(text);
  const fraction = match?.[1];
  const at = match && DateTime.fromISO(text.replace(/[.,]\d+/, ''), { zone: 'UTC' });
  if (!at?.isValid || text.slice(11, 13) === '24') return undefined;
  return exact(BigInt(at.toMillis()) * 1_000_000n + BigInt((fraction ?? '').slice(0, 9).padEnd(9, '0')));
}

function parseDuration(text: string): ArrayBuffer | undefined {
  const match = /^([+-]?)((?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0)$/.exec(text);
  if (!match) return undefined;
  let total = 0n;
  for (const [, amount = '', unit = ''] of (match[2] ?? '').matchAll(/([\d.]+)([a-zµμ]+)/g)) {
    const [whole = '', fraction = ''] = amount.split('.');
    const scale = 10n ** BigInt(fraction.length);
    total += (BigInt(`${whole}${fraction}`) * (DURATION_UNITS[unit] ?? 0n)) / scale;
  }
  return exact(match[1] === '-' ? -total : total);
}

/** As Go: 31 January and one month are 2 or 3 March. */
function addDate(instant: Instant, years: number, months: number, days: number): ArrayBuffer | undefined {
  const moment = momentOf(instant);
  if (!moment) return undefined;
  const { at, micros } = moment;
  const moved = at
    .set({ day: 1 })
    .plus({ years, months })
    .plus({ days: at.day - 1 + days });
  return moved.isValid ? nanoseconds({ at: moved, micros }) : undefined;
}

/** As Go's RFC3339Nano, to the microsecond. With a layout of one's own it is undefined. */
function format(instant: Instant): string | undefined {
  if (Array.isArray(instant) && instant.length > 2 && instant[2] !== '') return undefined;
  const moment = momentOf(instant);
  if (!moment) return undefined;
  const { at, micros } = moment;
  const fraction = `${at.toFormat('SSS')}${String(micros).padStart(3, '0')}`.replace(/0+$/, '');
  const offset = at.offset === 0 ? 'Z' : at.toFormat('ZZ');
  return `${at.toFormat("yyyy-MM-dd'T'HH:mm:ss")}${fraction && `.${fraction}`}${offset}`;
}

/** Years, months, days, hours, minutes and seconds between two instants, in the first one's zone. */
function difference(a: Instant, b: Instant): number[] | undefined {
  const [first, second] = [momentOf(a)?.at, momentOf(b)?.at];
  if (!first || !second) return undefined;
  const [from, to] = first <= second ? [first, second.setZone(first.zone)] : [second.setZone(first.zone), first];
  let [year, month, day] = [to.year - from.year, to.month - from.month, to.day - from.day];
  let [hour, minute, second_] = [to.hour - from.hour, to.minute - from.minute, to.second - from.second];
  if (second_ < 0) [second_, minute] = [second_ + 60, minute - 1];
  if (minute < 0) [minute, hour] = [minute + 60, hour - 1];
  if (hour < 0) [hour, day] = [hour + 24, day - 1];
  if (day < 0) [day, month] = [day + (from.daysInMonth ?? 0), month - 1];
  if (month < 0) [month, year] = [month + 12, year - 1];
  return [year, month, day, hour, minute, second_];
}

const part = (read: (at: DateTime<true>) => unknown) => (instant: Instant) => {
  const moment = momentOf(instant);
  return moment && read(moment.at);
};

export const timeBuiltins: Builtins = {
  'time.parse_rfc3339_ns': parseRfc3339,
  'time.parse_duration_ns': parseDuration,
  'time.date': part(({ day, month, year }) => [year, month, day]),
  'time.clock': part(({ hour, minute, second }) => [hour, minute, second]),
  'time.weekday': part(({ weekdayLong }) => weekdayLong),
  'time.add_date': addDate,
  'time.diff': difference,
  'time.format': format,
};
