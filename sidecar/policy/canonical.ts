import { MAX_AMOUNT } from '../../schemas/amounts.ts';
import { jsonString } from '../json-string.ts';

/** Deeper input is refused: no policy needs it, and recursion has an end. */
export const MAX_DEPTH = 256;

/** Input that no policy may see, because it would be altered on the way to it. `message` is for the caller. */
export class InputError extends Error {
  override readonly name = 'InputError';
}

/**
 * JSON text with sorted keys, so that equal input has equal text. Throws `InputError` for what WebAssembly or the
 * counters would change: numbers outside ±(2^53 − 1), lone surrogates, depth beyond `MAX_DEPTH`.
 */
export function canonical(value: unknown): string {
  return write(value, 0);
}

type Members = Readonly<Record<string, unknown>>;

/** The same of an object without some of its members, and with `more` in their place. */
export function canonicalMembers(value: object, without: ReadonlySet<string>, more: Members = {}): string {
  const keys = Object.keys(value).filter((key) => !without.has(key));
  const added = Object.keys(more);
  if (added.length === 0) return writeMembers(value as Members, keys, 1);
  return writeMembers({ ...(value as Members), ...more }, [...keys, ...added], 1);
}

function write(value: unknown, depth: number): string {
  if (typeof value === 'string') return writeString(value);
  if (typeof value === 'number') return writeNumber(value);
  if (value === null || typeof value !== 'object') return String(value);
  if (depth >= MAX_DEPTH) throw new InputError(`input is nested more than ${MAX_DEPTH} levels deep`);
  if (Array.isArray(value)) return `[${value.map((item) => write(item, depth + 1)).join(',')}]`;
  return writeMembers(value as Members, Object.keys(value), depth + 1);
}

function writeMembers(value: Members, keys: string[], depth: number): string {
  let members = '';
  for (const key of keys.sort()) {
    const member = `${writeString(key)}:${write(value[key], depth)}`;
    members += members === '' ? member : `,${member}`;
  }
  return `{${members}}`;
}

function writeString(value: string): string {
  const text = jsonString(value);
  // A lone surrogate is escaped: where nothing was, there is none.
  if (text.length > value.length + 2 && !value.isWellFormed()) {
    throw new InputError('input holds a string that is not valid Unicode');
  }
  return text;
}

function writeNumber(value: number): string {
  if (Math.abs(value) <= MAX_AMOUNT) return JSON.stringify(value);
  throw new InputError(`input holds a number outside ±${MAX_AMOUNT}, which cannot be kept exactly`);
}
