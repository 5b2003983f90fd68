import { describe, expect, test } from 'vitest';
import { loadBundle } from './wasm.ts';

/** The policies that other tests run on do what their descriptions say, so that those tests mean something. */
const outcome = (granted: boolean, more: object = {}) => ({
  granted,
  candidate: null,
  limits: [{ id: 'a', granted, over: !granted, crossed: [], on_exceed: 'deny', ...more }],
});

describe('plain', async () => {
  const policy = await loadBundle('test/policies/plain.tar.gz');
  const evaluate = (name: string, input: unknown) => policy.evaluate(`authz/plain/${name}`, input);

  test('has an answer of each kind', () => {
    const input = { user: 'alice', action: 'write' };
    expect(evaluate('allow', input)).toBe(true);
    expect(evaluate('allow', { user: 'bob', action: 'write' })).toBe(false);
    expect(evaluate('role', input)).toBe('editor');
    expect(evaluate('role', { user: '__proto__' })).toBe('reader');
    expect(evaluate('sorted_permissions', input)).toEqual(['comment', 'read', 'write']);
    expect(new Set(evaluate('permissions', input) as string[])).toEqual(new Set(['comment', 'read', 'write']));
    expect(evaluate('explanation', input)).toMatchObject({ allowed: true, count: 3, nothing: null });
    expect(evaluate('echo', input)).toEqual(input);
  });

  test('has none for a stranger, but where it has a default', () => {
    const stranger = { user: 'mallory', action: 'read' };
    expect(evaluate('role', stranger)).toBeUndefined();
    expect(evaluate('explanation', stranger)).toBeUndefined();
    expect(evaluate('permissions', stranger)).toEqual([]);
    expect(evaluate('allow', stranger)).toBe(false);
  });
});

describe('metered', async () => {
  const policy = await loadBundle('test/policies/metered.tar.gz');
  const evaluate = (name: string, input: unknown) => policy.evaluate(`test/metered/${name}`, input);

  test.each([
    [{ limits: [{ id: 'a' }], tenant_id: 'acme' }, { limits: [{ id: 'a' }] }],
    [
      { limits: 'none', raw_counters: 7 },
      { limits: 'none', raw_counters: 7 },
    ],
    [
      { candidates: [], refuse: null },
      { candidates: [], refuse: null },
    ],
    [{ plan: [1] }, [1]],
    [{ plan: false }, false],
    [{ plan: null, limits: [] }, null],
    [{ limits: [], break_plan: true }, undefined],
  ])('plans %j as it is', (input, plan) => {
    expect(evaluate('plan', input)).toEqual(plan);
  });

  test.each([
    ['granted', { outcome: outcome(true) }, { allow: true, reason: 'ok', status: 200 }],
    ['refused', { outcome: outcome(false) }, { allow: false, reason: 'rate_limited', status: 429 }],
    ['refused after', { outcome: outcome(true), refuse_after: true }, { allow: false, reason: 'budget_exceeded' }],
    ['refused before', { outcome: outcome(false), refuse_after: true }, { allow: false, reason: 'rate_limited' }],
    ['none', {}, { allow: false, reason: 'rate_limited' }],
    ['of another shape', { outcome: outcome(true), break_decision: 'shape' }, { allow: 'yes' }],
    ['overruled', { outcome: outcome(false), break_decision: 'overrule' }, { allow: true }],
    ['given', { outcome: outcome(false), decision: { any: 'thing' } }, { any: 'thing' }],
    ['obliging', { outcome: outcome(true), force_model: 'lab/small' }, { obligations: { force_model: 'lab/small' } }],
  ])('decides on an outcome that is %s', (_, input, decision) => {
    expect(evaluate('decision', input)).toMatchObject(decision);
  });

  test('has no decision, or two, when told to', () => {
    expect(evaluate('decision', { outcome: outcome(true), break_decision: true })).toBeUndefined();
    expect(evaluate('allow', { outcome: outcome(true), break_decision: true })).toBe(false);
    expect(() => evaluate('decision', { outcome: outcome(true), break_decision: 'conflict' })).toThrow(/conflict/);
  });

  test('says the exact numbers that it is shown', () => {
    const seen = outcome(true, { used: 3, capacity: 10, remaining: 7 });
    expect(evaluate('decision', { outcome: seen })).toMatchObject({ warnings: ['a: 3 of 10 used, 7 left'] });
    expect(evaluate('decision', { outcome: outcome(true) })).toMatchObject({ warnings: [] });
  });
});

describe('hostile', async () => {
  const policy = await loadBundle('test/policies/hostile.tar.gz');
  const evaluate = (name: string, input: unknown) => policy.evaluate(`test/${name}`, input);

  test('conflicts, eats its memory, and can be asked again', () => {
    expect(() => evaluate('hostile/conflict', { n: 2 })).toThrow(/conflict/);
    expect(() => evaluate('hostile/memory', { n: 2_000 })).toThrow(/malloc/);
    expect(evaluate('hostile/harmless', { n: 7 })).toBe(7);
  });

  test('loops for a time that grows with the square of n, and not for want of memory', () => {
    const time = (n: number) => {
      const began = performance.now();
      expect(evaluate('hostile/loop', { n })).toBe(n);
      return performance.now() - began;
    };
    const [first, second, third] = [time(500), time(500), time(500)];
    // 36 times as many steps; the least of three, because a busy machine can only add to it.
    expect(time(3_000)).toBeGreaterThan(9 * Math.min(first, second, third));
  });

  test('plans and decides slowly', () => {
    const limits = [{ id: 'a' }];
    expect(evaluate('slow/plan', { limits, plan_n: 300 })).toEqual({ limits });
    expect(evaluate('slow/decision', { decision_n: 300, outcome: outcome(true) })).toMatchObject({ allow: true });
    expect(evaluate('slow/allow', { outcome: outcome(false) })).toBe(false);
  });
});
