import type { DecisionEvent } from './event.ts';

/** The value of `system.log.mask` is not what it should be. Nothing of it was applied. */
export class MaskError extends Error {
  override readonly name = 'MaskError';
}

interface Rule {
  op: 'remove' | 'upsert';
  path: string;
  way: string[];
  value: unknown;
}

/** OPA's, and what the sidecar adds to an event. */
const MASKABLE = ['input', 'result', 'nd_builtin_cache', 'openclaw'];

/**
 * Changes the event by the value of `system.log.mask`: a list of JSON pointers to remove, or of
 * `{"op": "remove" | "upsert", "path", "value"}`, applied in their order. As OPA does it, and stricter where OPA would
 * leave a value in place: an element of a list that is the input or result itself, and a key whose pointer is escaped.
 * Throws `MaskError` before anything is changed.
 */
export function applyMask(event: DecisionEvent, value: unknown): void {
  const rules = readRules(value);
  for (const { op, path, value: replacement, way } of rules) {
    // Where there is no input, or no result, none is made.
    if (!Object.hasOwn(event, way[0] as string)) continue;
    if (op === 'remove' && remove(event, way)) event.erased = [...(event.erased ?? []), path];
    if (op === 'upsert' && upsert(event, way, structuredClone(replacement)))
      event.masked = [...(event.masked ?? []), path];
  }
}

function readRules(value: unknown): Rule[] {
  if (!Array.isArray(value)) throw new MaskError('is not a set or list');
  return value.map((rule) => {
    if (typeof rule === 'string') return { op: 'remove', path: rule, way: readPath(rule), value: undefined };
    const { op, path, value: replacement = null } = (rule ?? {}) as Record<string, unknown>;
    if (op !== 'remove' && op !== 'upsert') throw new MaskError('has an op that is neither remove nor upsert');
    if (typeof path !== 'string') throw new MaskError('has a path that is not a string');
    return { op, path, way: readPath(path), value: replacement };
  });
}

function readPath(path: string): string[] {
  const [empty, ...way] = path.split('/');
  if (empty !== '' || !MASKABLE.includes(way[0] ?? '')) {
    throw new MaskError(`has a path that does not begin with one of ${MASKABLE.map((part) => `/${part}`).join(', ')}`);
  }
  try {
    for (const part of way) decodeURIComponent(part);
  } catch {
    throw new MaskError('has a path that is not valid percent-encoding');
  }
  return way;
}

/** As it is written, as a JSON pointer (RFC 6901), and percent-encoded: whichever the author meant goes. */
function spellings(part: string): string[] {
  const pointer = part.replaceAll('~1', '/').replaceAll('~0', '~');
  return [...new Set([part, pointer, decodeURIComponent(part), encodeURIComponent(part)])];
}

function remove(at: unknown, [part = '', ...rest]: string[]): boolean {
  if (Array.isArray(at)) {
    const index = indexIn(at, part);
    if (index === undefined) return false;
    if (rest.length > 0) return remove(at[index], rest);
    at.splice(index, 1);
    return true;
  }
  if (!isObject(at)) return false;
  const keys = spellings(part).filter((key) => Object.hasOwn(at, key));
  return keys.map((key) => (rest.length > 0 ? remove(at[key], rest) : delete at[key])).includes(true);
}

/** Objects on the way are made, elements of a list are not. */
function upsert(at: unknown, [part = '', ...rest]: string[], value: unknown): boolean {
  if (Array.isArray(at)) {
    const index = indexIn(at, part);
    if (index === undefined) return false;
    if (rest.length > 0) return upsert(at[index], rest, value);
    at[index] = value;
    return true;
  }
  if (!isObject(at)) return false;
  const known = spellings(part).filter((key) => Object.hasOwn(at, key));
  const keys = known.length > 0 ? known : [part];
  return keys.map((key) => upsertKey(at, key, rest, value)).includes(true);
}

function upsertKey(at: Record<string, unknown>, key: string, rest: string[], value: unknown): boolean {
  if (rest.length > 0 && Object.hasOwn(at, key)) return upsert(at[key], rest, value);
  const made = rest.length > 0 ? {} : value;
  // An assignment to `__proto__` would make no key.
  Object.defineProperty(at, key, { value: made, enumerable: true, configurable: true, writable: true });
  return rest.length === 0 || upsert(made, rest, value);
}

function indexIn(list: unknown[], part: string): number | undefined {
  const index = /^\+?\d+$/.test(part) ? Number(part) : list.length;
  return index < list.length ? index : undefined;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
