import { describe, expect, test } from 'vitest';
import type { Policy } from '../policy/policy.ts';
import { refOf, resolve, walk } from './data-path.ts';

const ENTRYPOINTS = [
  'conf/arr',
  'conf/obj',
  'openclaw/rate_limit/plan',
  'openclaw/rate_limit/decision',
  'openclaw/rate_limit/allow',
];

const policy = {
  metered: new Set(['openclaw/rate_limit']),
  entrypoints: ENTRYPOINTS,
  isEntrypoint: (path: string) => ENTRYPOINTS.includes(path),
} as unknown as Policy;

const at = (path: string) => resolve(path.split('/'), policy);

describe('a path leads to', () => {
  test('a metered package as a whole, its allow, its decision and what is in it', () => {
    const pkg = 'openclaw/rate_limit';
    expect(at(pkg)).toEqual({ kind: 'metered', pkg, document: undefined, rest: [] });
    expect(at(`${pkg}/allow`)).toEqual({ kind: 'metered', pkg, document: 'allow', rest: [] });
    expect(at(`${pkg}/decision/reason`)).toEqual({ kind: 'metered', pkg, document: 'decision', rest: ['reason'] });
  });

  test('the plan, without taking anything', () => {
    expect(at('openclaw/rate_limit/plan')).toEqual({ kind: 'plain', entrypoint: 'openclaw/rate_limit/plan', rest: [] });
  });

  test('an entrypoint, and into its document', () => {
    expect(at('conf/arr')).toEqual({ kind: 'plain', entrypoint: 'conf/arr', rest: [] });
    expect(at('conf/arr/0')).toEqual({ kind: 'plain', entrypoint: 'conf/arr', rest: ['0'] });
  });

  test('what lies below it', () => {
    expect(at('conf')).toEqual({ kind: 'above', below: ['conf/arr', 'conf/obj'] });
    expect(at('openclaw')).toEqual({ kind: 'above', below: ENTRYPOINTS.slice(2) });
    expect(resolve([], policy)).toEqual({ kind: 'above', below: ENTRYPOINTS });
  });

  test.each(['nope', 'con', 'confi', '__proto__', 'openclaw/rate_limit/nope'])('nothing: %s', (path) => {
    expect(at(path)).toEqual({ kind: 'undefined' });
  });

  test('nothing, where a slash is part of a name', () => {
    for (const path of [['conf/arr'], ['openclaw/rate_limit', 'allow'], ['openclaw/rate_limit'], ['conf/']]) {
      expect(resolve(path, policy)).toEqual({ kind: 'undefined' });
    }
    expect(resolve(['conf', 'obj', 'a/b'], policy)).toEqual({ kind: 'plain', entrypoint: 'conf/obj', rest: ['a/b'] });
  });
});

describe('walking into a document', () => {
  test('finds members and items', () => {
    expect(walk({ a: [{ b: 1 }] }, ['a', '0', 'b'])).toBe(1);
    expect(walk(false, [])).toBe(false);
  });

  test.each([[['__proto__']], [['constructor']], [['length']], [['a', 'b']]])('finds own ones only: %j', (way) => {
    expect(walk({ a: 1 }, way)).toBeUndefined();
    expect(walk([1], way)).toBeUndefined();
  });

  test('takes a number for the place of an item, never for a name', () => {
    expect(walk([{ 1: 'x' }], ['0', '1'])).toBeUndefined();
    expect(walk({ '1a': 'x' }, ['1a'])).toBe('x');
  });

  test.each(['-1', '01', '1e0', '1'])('an index is written one way: %s', (step) => {
    expect(walk(['x'], [step])).toBeUndefined();
  });
});

test.each([
  [['conf', 'gt1'], 'data.conf.gt1'],
  [['a b', '0', 'x-y', 'q"'], 'data["a b"][0]["x-y"]["q\\""]'],
  [[], 'data'],
])('the name of %j in Rego', (path, ref) => {
  expect(refOf(path)).toBe(ref);
});
