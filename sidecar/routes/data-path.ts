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

/** The segments of a path. A path that is remembered is one object, and what it leads to is found once for each policy. */
export type DataPath = readonly string[];

const targets = new WeakMap<Policy, WeakMap<DataPath, Target>>();

/** What a path leads to in this policy. */
export function resolve(path: DataPath, policy: Policy): Target {
  let known = targets.get(policy);
  if (!known) {
    known = new WeakMap();
    targets.set(policy, known);
  }
  const before = known.get(path);
  if (before) return before;
  const target = find(path, policy);
  known.set(path, target);
  return target;
}

/** The longest entrypoint or metered package that begins the path; else what lies below it. */
function find(path: DataPath, policy: Policy): Target {
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

/** So many paths are remembered, with their prefixes. Callers ask for one or two; the longest are not worth it. */
const paths = new LRUCache<string, DataPath>({ max: 1_000 });
const MAX_REMEMBERED_LENGTH = 256;

/** The path behind the prefix. The same object again for the same path, if it is remembered. */
export function pathBehind(c: Context, prefix: string): DataPath {
  const raw = rawPath(c);
  const before = paths.get(raw);
  if (before) return before;
  const path = segmentsOf(raw.slice(prefix.length));
  if (raw.length <= MAX_REMEMBERED_LENGTH) paths.set(raw, path);
  return path;
}

/** Each segment decoded by itself, so that an encoded slash stays part of its segment. */
function segmentsOf(raw: string): string[] {
  const behind = raw.split('/').filter(Boolean);
  if (!raw.includes('%')) return behind;
  try {
    return behind.map((segment) => decodeURIComponent(segment));
  } catch {
    throw new Refusal(400, 'invalid_parameter', 'the path is not valid percent-encoding');
  }
}

/** The document's name in Rego, such as `data.conf.gt1` or `data.conf["a b"]`. */
export function refOf(path: DataPath): string {
  return path.reduce((ref, segment) => {
    if (/^\d+$/.test(segment)) return `${ref}[${segment}]`;
    return /^[A-Za-z_]\w*$/.test(segment) ? `${ref}.${segment}` : `${ref}[${JSON.stringify(segment)}]`;
  }, 'data');
}
