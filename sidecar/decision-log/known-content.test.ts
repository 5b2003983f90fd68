import { expect, test } from 'vitest';
import type { DecisionEvent } from './event.ts';
import { knownContent } from './known-content.ts';

const of = (more: Partial<DecisionEvent>) => {
  const { erased, error, input, result } = knownContent({
    labels: {},
    decision_id: 'd1',
    bundles: {},
    path: 'a/b',
    timestamp: '2026-01-01T00:00:00.000Z',
    metrics: {},
    req_id: 1,
    ...more,
  });
  return { erased, error, input, result };
};

test('names and numbers that have a meaning stay, all else goes and is listed', () => {
  const kept = {
    tenant_id: 'acme',
    model: 'lab/big',
    input_tokens: 7,
    prompt_chars: 28,
    run_id: 'r1',
    request_id: 'q1',
  };
  expect(of({ input: { ...kept, prompt: 'Tell me', messages: [{ content: 'a secret' }] } })).toEqual({
    input: kept,
    erased: ['/input/prompt', '/input/messages'],
  });
});

test('a known name does not shelter a text, an object or a list', () => {
  expect(of({ input: { user_id: 'x'.repeat(257), model: { prompt: 'a secret' }, role: ['a secret'] } })).toEqual({
    input: {},
    erased: ['/input/user_id', '/input/model', '/input/role'],
  });
});

test('nor does what is to be a number', () => {
  expect(of({ input: { max_output_tokens: 'a secret', input_tokens: 7 } })).toEqual({
    input: { input_tokens: 7 },
    erased: ['/input/max_output_tokens'],
  });
});

test('a key that could be a text itself is not repeated, and the list has an end', () => {
  expect(of({ input: { 'what is my secret?': 1 } }).erased).toEqual(['/input/*']);
  const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`k${n}`, 1]));
  expect(of({ input: many }).erased).toHaveLength(33);
});

test.each(['a prompt', ['a prompt'], 7, null])('an input that is no object goes as a whole: %j', (input) => {
  expect(of({ input })).toEqual({ erased: ['/input'] });
});

test.each([true, false, 0, null])('a result that holds no text stays: %j', (result) => {
  expect(of({ result })).toEqual({ result });
});

test.each(['a prompt', { allow: true, message: 'a prompt' }, []])('any other goes: %j', (result) => {
  expect(of({ result })).toEqual({ erased: ['/result'] });
});

test('of an error its code stays', () => {
  expect(of({ error: { code: 'eval_error', message: 'cannot parse "a prompt"' } })).toEqual({
    error: { code: 'eval_error' },
    erased: ['/error/message'],
  });
});

test('an event without anything to erase says nothing of it', () => {
  expect(of({})).toEqual({});
});
