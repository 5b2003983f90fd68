/** A month of UTC, by whose `decided_at` the ledger is partitioned. */
export interface Month {
  /** `2026-01` */
  name: string;
  table: string;
  /** RFC 3339, half-open. */
  from: string;
  to: string;
}

/** The month that holds an instant, or one that comes so many months after it. */
export function monthAt(instant: number, after = 0): Month {
  const date = new Date(instant);
  const start = (months: number) => new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months));
  const name = start(after).toISOString().slice(0, 7);
  return {
    name,
    table: `usage_events_${name.replace('-', '_')}`,
    from: start(after).toISOString(),
    to: start(after + 1).toISOString(),
  };
}

/** By its name; undefined if it is none. */
export function monthNamed(name: string): Month | undefined {
  return /^\d{4}-(0[1-9]|1[0-2])$/.test(name) ? monthAt(Date.parse(`${name}-01T00:00:00Z`)) : undefined;
}
