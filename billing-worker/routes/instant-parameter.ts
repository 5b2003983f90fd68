import { z } from 'zod';

/** An instant in a URL, from 1970 to 9999. */
export const instantParameter = z.iso.datetime({ offset: true }).refine(
  (text) => {
    const year = new Date(text).getUTCFullYear();
    return year >= 1970 && year < 10_000;
  },
  { abort: true },
);

/** What is right, for whoever sent another text. */
export const INSTANT = 'must be an RFC 3339 instant such as 2026-01-31T00:00:00Z (a "+" in a URL is written %2B)';
