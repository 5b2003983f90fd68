const DAY_MS = 86_400_000;
/** A day's text is kept for as many days as a batch may have, and then some. */
const MOST_DAYS = 1_000;

const dates = new Map<number, string>();
const TWO = Array.from({ length: 60 }, (_, i) => String(i).padStart(2, '0'));
const THREE = Array.from({ length: 1_000 }, (_, i) => String(i).padStart(3, '0'));

/** What `toISOString` makes of epoch milliseconds, in a third of its 0.6 µs: an event has two instants. */
export function instantText(instant: number): string {
  const day = Math.floor(instant / DAY_MS);
  const ms = instant - day * DAY_MS;
  const [hours, minutes, seconds] = [
    Math.floor(ms / 3_600_000),
    Math.floor(ms / 60_000) % 60,
    Math.floor(ms / 1_000) % 60,
  ];
  return `${dateOf(day)}${TWO[hours]}:${TWO[minutes]}:${TWO[seconds]}.${THREE[ms % 1_000]}Z`;
}

function dateOf(day: number): string {
  const known = dates.get(day);
  if (known !== undefined) return known;
  if (dates.size >= MOST_DAYS) dates.clear();
  const text = new Date(day * DAY_MS).toISOString().slice(0, -'00:00:00.000Z'.length);
  dates.set(day, text);
  return text;
}
