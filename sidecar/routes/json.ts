import { inexactNumber } from './exact-numbers.ts';
import { Refusal } from './refusal.ts';

type Where = 'body' | 'parameter';

/**
 * The value of a JSON text; undefined for an empty body. Throws a `Refusal` for what is not JSON, and for numbers that
 * JavaScript would alter.
 */
export function parseJson(text: string, where: Where): unknown {
  const value = parseAny(text, where);
  requireExactNumbers(text, where);
  return value;
}

/** The same with numbers as JavaScript makes them. */
export function parseAny(text: string, where: Where): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (where === 'body' && /^[ \t\r\n]*$/.test(text)) return undefined;
    const { message } = error as Error;
    throw new Refusal(400, 'invalid_parameter', `${where} contains malformed input document: ${message}`);
  }
}

export function requireExactNumbers(text: string, where: Where): void {
  const inexact = inexactNumber(text);
  if (inexact === undefined) return;
  const why = `it is a number outside ±${Number.MAX_SAFE_INTEGER}, or has more digits than a 64-bit float`;
  throw new Refusal(400, 'invalid_parameter', `${where} contains ${inexact}, which cannot be kept exactly: ${why}`);
}
