/** From the year 10000 on there is no RFC 3339 form; a gate that is closed for good is closed until then. */
const END_OF_TIME = Date.UTC(10_000, 0);

/** Epoch milliseconds as RFC 3339; null where there is no such form. */
export const instant = (at: number): string | null => (at < END_OF_TIME ? new Date(at).toISOString() : null);
