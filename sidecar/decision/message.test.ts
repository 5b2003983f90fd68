import { describe, expect, test } from 'vitest';
import { MAX_AMOUNT } from '../../schemas/amounts.ts';
import { type Decision, decisionSchema, type LimitOutcome, type Outcome, planSchema } from '../../schemas/policy-io.ts';
import { decisive, fillTemplates } from './message.ts';

const limit = (id: string, more: Partial<LimitOutcome> = {}): LimitOutcome => ({
  id,
  granted: true,
  over: false,
  crossed: [],
  on_exceed: 'deny',
  capacity: 10_000,
  before: 9_999,
  used: 10_000,
  remaining: 0,
  used_percent: 100,
  reset_at: Date.parse('2026-01-02T03:04:05.678Z'),
  retry_after_ms: 0,
  ...more,
});

const outcome = (...limits: LimitOutcome[]): Outcome => ({
  granted: limits.every((l) => l.granted),
  candidate: null,
  closed: [],
  limits,
});

const plan = planSchema.parse({
  limits: [
    {
      id: 'a',
      subject: { type: 'tenant', id: 'acme' },
      unit: 'tokens',
      kind: 'token_bucket',
      capacity: 10_000,
      cost: 1,
      refill: { amount: 10_000, per_seconds: 86_400, mode: 'interval' },
    },
  ],
});

const saying = (message: string): Decision =>
  decisionSchema.parse({
    allow: false,
    reason: 'rate_limited',
    status: 429,
    message,
    warnings: [message],
    obligations: { footer: message },
  });

const NOW = Date.parse('2026-01-02T03:00:00Z');

test('fills message, warnings and footer with the exact numbers', () => {
  const text = '{tokens_used}/{tokens_limit} ({percent_used}%) {tokens_remaining} left, {period}, until {reset_time}';
  const filled = '10000/10000 (100%) 0 left, daily, until 2026-01-02T03:04:05.678Z';
  const decision = fillTemplates(saying(text), outcome(limit('a')), plan, NOW);
  expect(decision).toMatchObject({ message: filled, warnings: [filled], obligations: { footer: filled } });
});

test('leaves placeholders that it does not know', () => {
  expect(fillTemplates(saying('{nonsense} {}'), outcome(limit('a')), plan, NOW).message).toBe('{nonsense} {}');
});

test('says when the first of those that were passed over may be back', () => {
  const text = '{available_at} {available_in}';
  const passed = (candidate: string, gate: string, seconds: number) => ({
    candidate,
    gate,
    until: NOW + 1_000 * seconds,
  });
  const filled = (...closed: Outcome['closed']) =>
    fillTemplates(saying(text), { ...outcome(), closed }, plan, NOW).message;
  const both = [passed('a', 'cooldown:a', 30), passed('a', 'circuit:a', 240), passed('b', 'cooldown:b', 7_300)];
  expect(filled(...both)).toBe('2026-01-02T03:04:00.000Z 4 min');
  expect(filled(...both, passed('c', 'limit:x', 29.5))).toBe('2026-01-02T03:00:29.500Z 30 s');
  expect(filled({ candidate: 'a', gate: 'failed:other', until: MAX_AMOUNT }, passed('b', 'on:other', 1))).toBe(
    'a time that nobody knows a while',
  );
  expect(filled(...both.slice(2))).toContain('3 h');
});

describe('a decision about some of its limits', () => {
  const day = limit('day', { used: 7_600, used_percent: 76, crossed: [75], granted: true });
  const month = limit('month', { used: 8_000, used_percent: 80 });
  const bucket = limit('a', { used: 9_999, used_percent: 99, crossed: [90] });
  const text = '{percent_used}%';
  const about = (ids?: string[]): Decision => ({
    ...saying(text),
    ...(ids && { about: ids }),
    obligations: { footer: text, notify: [{ to: 'admin', message: text, level: 1 }] },
  });

  test('tells their numbers, and in a warning those of the one that crossed a threshold', () => {
    expect(fillTemplates(about(['day', 'month']), outcome(bucket, day, month), plan, NOW)).toEqual({
      ...saying('80%'),
      warnings: ['76%'],
      obligations: { footer: '80%', notify: [{ to: 'admin', message: '80%', level: 1 }] },
    });
  });

  test('tells those of all, where it names none that is there', () => {
    for (const ids of [undefined, [], ['elsewhere']]) {
      const told = fillTemplates(about(ids), outcome(bucket, day, month), plan, NOW);
      expect(told).toMatchObject({ message: '99%', warnings: ['99%'] });
      expect(told).not.toHaveProperty('about');
    }
  });

  test('keeps its placeholders where there is no limit', () => {
    expect(fillTemplates(about(['day']), outcome(), plan, NOW).message).toBe(text);
  });
});

describe('beside limits of the user', () => {
  const budget = (type: string, unit: string) => ({
    id: type,
    subject: { type, id: 'x' },
    unit,
    kind: 'window',
    capacity: 100,
    cost: 1,
    window: { period: 'month' },
  });
  const both = planSchema.parse({ limits: [budget('department', 'tokens'), budget('user', 'tokens')] });
  const department = limit('department', { used_percent: 120, crossed: [100] });
  const text = 'at {percent_used}%';

  test('a message tells of those that decided, warnings and footer of those of the user', () => {
    const own = limit('user', { used_percent: 76, crossed: [75] });
    const decision = fillTemplates({ ...saying(text), about: ['department'] }, outcome(department, own), both, NOW);
    expect(decision).toEqual({
      ...saying('at 120%'),
      warnings: ['at 76%'],
      obligations: { footer: 'at 76%' },
    });
  });

  test('where the user crossed nothing a warning is about what did', () => {
    const own = limit('user', { used_percent: 60 });
    const decision = fillTemplates({ ...saying(text), about: ['department'] }, outcome(department, own), both, NOW);
    expect(decision).toMatchObject({ warnings: ['at 120%'], obligations: { footer: 'at 60%' } });
  });

  test.each([
    [250_000_000_000, '$250.00'],
    [10_503_000, '$0.010503'],
    [1_500_000_000, '$1.50'],
    [1, '$0.000000001'],
    [0, '$0.00'],
  ])('%d nano-dollars are %s', (used, shown) => {
    const money = planSchema.parse({ limits: [budget('team', 'usd')] });
    expect(fillTemplates(saying('{tokens_used}'), outcome(limit('team', { used })), money, NOW).message).toBe(shown);
  });
});

describe('the limit that decides', () => {
  test('is the refused one that is short the longest, for ever being the longest', () => {
    const short = limit('a', { granted: false, retry_after_ms: 10 });
    const long = limit('b', { granted: false, retry_after_ms: 20 });
    const never = limit('c', { granted: false, retry_after_ms: null });
    expect(decisive(outcome(short, long))).toBe(long);
    expect(decisive(outcome(short, never, long))).toBe(never);
  });

  test('is the one used up the most where none is refused', () => {
    const much = limit('b', { used_percent: 80 });
    expect(decisive(outcome(limit('a', { used_percent: 20 }), much))).toBe(much);
    expect(decisive(outcome())).toBeUndefined();
  });
});
