import type { Context } from 'hono';
import { LRUCache } from 'lru-cache';
import type { Policy } from '../policy/policy.ts';
import { rawPath } from './paths.ts';
import { Refusal } from './refusal.ts';

/** What a Data API path leads to. `rest` is the way from there into the document. */
export type Target =
  /** `pkg` is metered; `document` is what of it is asked for, the whole package if undefined. */
  | { kind: 'metered'; pkg: string; document: 'allow' | 'decision' | undefined; rest: string[] }
  | { kind: 'plain'; entrypoint: string; rest: string[] }
  /** No document of the policy, but above some: `below` are the entrypoints there. */
  | { kind: 'above'; below: string[] }
  | { kind: 'undefined' };

/** So many paths are remembered for a policy. Callers ask for one or two. */
const MAX_KNOWN = 1_000;

const known = new WeakMap<Policy, LRUCache<string, Target>>();

/** What a path leads to in this policy. */
export function resolve(path: string[], policy: Policy): Target {
  // An encoded slash is part of a name: joined, two paths would be one.
  if (path.some((segment) => segment.includes('/'))) return find(path, policy);
  let targets = known.get(policy);
  if (!targets) {
    targets = new LRUCache({ max: MAX_KNOWN });
    known.set(policy, targets);
  }
  const key = path.join('/');
  const before = targets.get(key);
  if (before) return before;
  const target = find(path, policy);
  targets.set(key, target);
  return target;
}

/** The longest entrypoint or metered package that begins the path; else what lies below it. */
function find(path: string[], policy: Policy): Target {
  // An encoded slash is part of a name, and no package or rule has such a one.
  const named = path.findIndex((segment) => segment.includes('/'));
  for (let length = named < 0 ? path.length : named; length > 0; length--) {
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
  if (named >= 0) return { kind: 'undefined' };
  const prefix = path.map((segment) => `${segment}/`).join('');
  const below = policy.entrypoints.filter((entrypoint) => entrypoint.startsWith(prefix));
  return below.length ? { kind: 'above', below } : { kind: 'undefined' };
}

/**
 * The value at the end of the way, undefined if there is none. Own properties only. As in OPA, a step that is a number
 * leads to an item of a list, and to no member of an object.
 */
export function walk(value: unknown, way: string[]): unknown {
  return way.reduce<unknown>((at, step) => {
    if (typeof at === 'object' && !Array.isArray(at) && /^[+-]?\d+$/.test(step)) return undefined;
    if (Array.isArray(at)) return /^(0|[1-9]\d*)$/.test(step) ? at[Number(step)] : undefined;
    if (at === null || typeof at !== 'object' || !Object.hasOwn(at, step)) return undefined;
    return (at as Record<string, unknown>)[step];
  }, value);
}

/** The path behind the prefix, each segment decoded by itself, so that an encoded slash stays part of its segment. */
export function segments(c: Context, prefix: string): string[] {
  const path = rawPath(c);
  const behind = path.slice(prefix.length).split('/').filter(Boolean);
  if (!path.includes('%')) return behind;
  try {
    return behind.map((segment) => decodeURIComponent(segment));
  } catch {
    throw new Refusal(400, 'invalid_parameter', 'the path is not valid percent-encoding');
  }
}

/** The document's name in Rego, such as `data.conf.gt1` or `data.conf["a b"]`. */
export function refOf(path: string[]): string {
  return path.reduce((ref, segment) => {
    if (/^\d+$/.test(segment)) return `${ref}[${segment}]`;
    return /^[A-Za-z_]\w*$/.test(segment) ? `${ref}.${segment}` : `${ref}[${JSON.stringify(segment)}]`;
  }, 'data');
}
