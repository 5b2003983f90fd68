import { expect, test } from 'vitest';
import { decisionSchema, type LimitOutcome, planSchema } from '../../schemas/policy-io.ts';
import type { Answer } from '../decision/answer.ts';
import { rateLimitHeaders } from './rate-limit-headers.ts';

const AT = 1_000_000;

function answer(id: string, more: Partial<LimitOutcome>): Answer {
  const limit: LimitOutcome = {
    id,
    granted: true,
    over: false,
    crossed: [],
    on_exceed: 'deny',
    capacity: 10,
    before: 0,
    used: 4,
    remaining: 6,
    used_percent: 40,
    reset_at: AT + 1_001,
    retry_after_ms: 0,
    ...more,
  };
  const plan = planSchema.parse({
    limits: [
      {
        id,
        subject: { type: 'tenant', id: 't' },
        unit: 'tokens',
        kind: 'token_bucket',
        capacity: 10,
        cost: 1,
        refill: { amount: 10, per_seconds: 60, mode: 'interval' },
      },
    ],
  });
  return {
    decisionId: 'd.0',
    decision: decisionSchema.parse({ allow: limit.granted, reason: 'ok', status: 200, message: '' }),
    outcome: { granted: limit.granted, candidate: null, closed: [], limits: [limit] },
    plan,
    replayed: false,
    policyRevision: 'r',
    at: AT,
  };
}

test('say quota and window, what remains, and the seconds to the reset, rounded up', () => {
  expect(rateLimitHeaders(answer('tenant:acme:tokens', {}))).toEqual({
    'RateLimit-Policy': '"tenant:acme:tokens";q=10;w=60',
    RateLimit: '"tenant:acme:tokens";r=6;t=2',
  });
});

test('what is remembered of a plan tells of its own limits alone', () => {
  const own = answer('a', {});
  const shown = (more: Partial<LimitOutcome>) => {
    const limits = (own.outcome?.limits ?? []).map((limit) => ({ ...limit, ...more }));
    const outcome = { granted: true, candidate: null, closed: [], limits };
    return rateLimitHeaders({ ...own, outcome })['RateLimit-Policy'];
  };
  expect(shown({})).toBe('"a";q=10;w=60');
  // A rollover, and the answer to a request id that was granted under another policy.
  expect(shown({ capacity: 15 })).toBe('"a";q=15;w=60');
  expect(shown({ id: 'b' })).toBe('"b";q=10');
  expect(shown({})).toBe('"a";q=10;w=60');
});

test('a refusal says how long to wait, rounded up, at least a second', () => {
  expect(rateLimitHeaders(answer('a', { granted: false, retry_after_ms: 1_001 }))).toMatchObject({
    'Retry-After': '2',
  });
  expect(rateLimitHeaders(answer('a', { granted: false, retry_after_ms: 1 }))).toMatchObject({ 'Retry-After': '1' });
});

test('no wait is named where waiting does not help', () => {
  expect(rateLimitHeaders(answer('a', { granted: false, retry_after_ms: null }))).not.toHaveProperty('Retry-After');
});

test('a name cannot break out of its string', () => {
  const headers = rateLimitHeaders(answer('t"\\\r\nX: é', {}));
  expect(headers.RateLimit).toBe('"t%22%5C%0D%0AX: %C3%A9";r=6;t=2');
});

test('a refusal that is about some limits says how long to wait for those', () => {
  const { outcome, ...refused } = answer('month', { granted: false, retry_after_ms: 900_000 });
  const [month] = outcome?.limits ?? [];
  if (!outcome || !month) throw new Error('the answer has a limit');
  const day = { ...month, id: 'day', retry_after_ms: 60_000 };
  const both = { ...refused, outcome: { ...outcome, limits: [month, day] } };
  expect(rateLimitHeaders(both)['Retry-After']).toBe('900');
  expect(rateLimitHeaders({ ...both, about: ['day'] })['Retry-After']).toBe('60');
  expect(rateLimitHeaders({ ...both, about: ['elsewhere'] })['Retry-After']).toBe('900');
});
