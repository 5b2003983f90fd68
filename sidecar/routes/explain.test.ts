import { expect, test } from 'vitest';
import { MAX_AMOUNT } from '../../schemas/amounts.ts';
import type { LimitOutcome } from '../../schemas/policy-io.ts';
import type { Answer } from '../decision/answer.ts';
import { explain } from './explain.ts';

const limit = (id: string, more: Partial<LimitOutcome> = {}): LimitOutcome => ({
  id,
  granted: true,
  over: false,
  crossed: [],
  on_exceed: 'deny',
  capacity: 10,
  before: 3,
  used: 4,
  remaining: 6,
  used_percent: 40,
  reset_at: Date.parse('2026-01-02T00:00:00Z'),
  retry_after_ms: 0,
  ...more,
});

const answer = (limits: LimitOutcome[], more: Partial<Answer> = {}): Answer => ({
  decisionId: 'd',
  decision: { allow: true, reason: 'ok', status: 200, message: '', warnings: [], obligations: {} },
  outcome: { granted: true, candidate: 'small', closed: [], limits },
  plan: undefined,
  replayed: false,
  policyRevision: 'r1',
  at: 0,
  ...more,
});

test('of limits with room, the one that is used up the most decided', () => {
  const events = explain(answer([limit('a'), limit('b', { used_percent: 90 }), limit('c')]), false);
  expect(events).toMatchObject([
    { decided: false },
    { limit: 'b', decided: true },
    { decided: false },
    { op: 'decision' },
  ]);
});

test('of limits without, the one that is short the longest', () => {
  const short = (id: string, retry_after_ms: number | null) => limit(id, { granted: false, used: 3, retry_after_ms });
  const sentences = explain(answer([limit('a'), short('b', 9_000), short('c', 100)]), true);
  expect(sentences[1]).toBe('b (deny): no room: 3 before, 3 after, of 10; this one decided');
  expect(explain(answer([short('b', 9_000), short('c', null)]), true)[1]).toMatch(/^c .*this one decided$/);
});

test('what was taken beyond a capacity, and again', () => {
  const over = limit('a', { over: true, on_exceed: 'flag', before: 9, used: 12 });
  expect(explain(answer([over], { replayed: true }), true)[0]).toBe(
    'a (flag): taken beyond its capacity: 9 before, 12 after, of 10, as the first time; this one decided',
  );
});

test('models that were passed over, and until when', () => {
  const closed = [
    { gate: 'cooldown:big', candidate: 'big', until: Date.parse('2026-01-01T12:05:00Z') },
    { gate: 'off:huge', candidate: 'huge', until: MAX_AMOUNT },
  ];
  const given = answer([], { outcome: { granted: true, candidate: 'small', closed, limits: [] } });
  expect(explain(given, true)).toEqual([
    'big is passed over: cooldown:big is closed until 2026-01-01T12:05:00.000Z',
    'huge is passed over: off:huge is closed until it is opened',
    'allowed: ok',
  ]);
  expect(explain(given, false).at(-1)).toMatchObject({ op: 'decision', candidate: 'small' });
});

test('where nothing could be counted, the decision alone', () => {
  const { decision } = answer([]);
  const denied = { ...decision, allow: false, reason: 'counters_unavailable' as const };
  expect(explain(answer([], { outcome: undefined, decision: denied }), true)).toEqual(['denied: counters_unavailable']);
});
