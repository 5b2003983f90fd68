import { z } from 'zod';

const dateSchema = z.iso.date();
const instantSchema = z.iso.datetime({ offset: true });

/** A date such as `2026-11-01`, and no instant. */
export const isDate = (text: string): boolean => dateSchema.safeParse(text).success;

/** From when on something holds: a date or an RFC 3339 instant, as it is written. Whose midnight begins a date is said where it is used. */
export const startSchema = z
  .string({ error: 'must be a date or an instant, such as "2026-11-01" or "2026-11-01T00:00:00Z"' })
  .refine((text) => isDate(text) || instantSchema.safeParse(text).success, {
    error: 'must be a date or an instant, such as "2026-11-01" or "2026-11-01T00:00:00Z"',
  });

/** Indices of those that do not come after the one before them. Dates are taken as those of UTC. */
export const outOfOrder = (starts: readonly string[]): number[] =>
  starts.flatMap((start, i) => {
    const before = starts[i - 1];
    return before !== undefined && Date.parse(start) <= Date.parse(before) ? [i] : [];
  });
