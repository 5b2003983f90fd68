import type { Policy } from '../policy/policy.ts';

/** What a Data API path leads to. `rest` is the way from there into the document. */
export type Target =
  /** `pkg` is metered; `document` is what of it is asked for, the whole package if undefined. */
  | { kind: 'metered'; pkg: string; document: 'allow' | 'decision' | undefined; rest: string[] }
  | { kind: 'plain'; entrypoint: string; rest: string[] }
  | { kind: 'undefined' };

/** The longest entrypoint or metered package that begins the path. */
export function resolve(path: string[], policy: Policy): Target {
  for (let length = path.length; length > 0; length--) {
    const name = path.slice(0, length).join('/');
    const rest = path.slice(length);
    if (policy.metered.has(name) && rest.length === 0) return { kind: 'metered', pkg: name, document: undefined, rest };
    if (!policy.isEntrypoint(name)) continue;
    const pkg = path.slice(0, length - 1).join('/');
    const document = path[length - 1];
    if (policy.metered.has(pkg) && (document === 'allow' || document === 'decision')) {
      return { kind: 'metered', pkg, document, rest };
    }
    return { kind: 'plain', entrypoint: name, rest };
  }
  return { kind: 'undefined' };
}

/** The value at the end of the way, undefined if there is none. Own properties only. */
export function walk(value: unknown, way: string[]): unknown {
  return way.reduce<unknown>((at, step) => {
    if (Array.isArray(at)) return /^(0|[1-9]\d*)$/.test(step) ? at[Number(step)] : undefined;
    if (at === null || typeof at !== 'object' || !Object.hasOwn(at, step)) return undefined;
    return (at as Record<string, unknown>)[step];
  }, value);
}
