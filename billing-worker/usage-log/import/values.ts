/** A line of a log, parsed. */
export type Line = Record<string, unknown>;

export const isObject = (value: unknown): value is Line =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Gateways write what they do not have as an empty text, "-" or null. */
export function text(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' && value !== '-' ? value : undefined;
}

/** A number that is not negative, also in quotes. HAProxy writes -1 for what did not happen. */
function number(value: unknown): number | undefined {
  const plain = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  return typeof plain === 'number' && Number.isFinite(plain) && plain >= 0 ? plain : undefined;
}

/** A whole number, rounded, in the unit that `value` has `perUnit` of. */
export function whole(value: unknown, perUnit = 1): number | undefined {
  const found = number(value);
  return found === undefined ? undefined : Math.round(found / perUnit);
}

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:?\d\d)$/;

/** Epoch milliseconds of ISO 8601 with an offset, or of seconds since 1970 as nginx and Caddy write them. */
export function instant(value: unknown): number | undefined {
  if (typeof value === 'string' && ISO.test(value)) {
    const parsed = Date.parse(value.replace(',', '.'));
    return Number.isNaN(parsed) ? undefined : parsed;
  }
  const seconds = number(value);
  return seconds === undefined ? undefined : Math.round(seconds * 1_000);
}
