import { expect, test } from 'vitest';
import { charsOf, Estimator } from './estimate.ts';

test('the first estimate counts the tools that its event does not show', () => {
  expect(new Estimator().whole('lab/m', 4_000, 10)).toEqual({
    prompt_chars: 10,
    input_tokens: 1_350,
    max_output_tokens: 500,
    estimated_tokens: 1_850,
  });
});

test('it learns from what was used, of each model by itself', () => {
  const estimator = new Estimator();
  for (let i = 0; i < 20; i++) estimator.learn('lab/m', { chars: 4_000, input: 2_000, output: 40 });
  expect(estimator.whole('lab/m', 8_000, 10)).toMatchObject({ input_tokens: 4_000, max_output_tokens: 40 });
  expect(estimator.whole('lab/other', 4_000, 10)).toMatchObject({ input_tokens: 1_350, max_output_tokens: 500 });
});

test('what it learns is bounded in both directions, and one odd run changes little', () => {
  const estimator = new Estimator();
  estimator.learn('lab/m', { chars: 4_000, input: 1_000_000, output: 1_000_000 });
  expect(estimator.whole('lab/m', 4_000, 10)).toMatchObject({ input_tokens: 8_000, max_output_tokens: 8_192 });
  const low = new Estimator();
  low.learn('lab/m', { chars: 4_000, input: 1, output: 0 });
  expect(low.whole('lab/m', 4_000, 10)).toMatchObject({ input_tokens: 500, max_output_tokens: 1 });
  const steady = new Estimator();
  for (let i = 0; i < 20; i++) steady.learn('lab/m', { chars: 4_000, input: 1_000, output: 100 });
  steady.learn('lab/m', { chars: 4_000, input: 8_000, output: 100 });
  expect(steady.whole('lab/m', 4_000, 10).input_tokens).toBeLessThan(3_200);
});

test('a prompt alone is taken with what its session had before', () => {
  const estimator = new Estimator();
  expect(estimator.fromPrompt('lab/m', 'new', 4_000).input_tokens).toBe(Math.ceil(8_000 * 1.35));
  estimator.noteContext('old', 396_000);
  expect(estimator.fromPrompt('lab/m', 'old', 4_000).input_tokens).toBe(135_000);
});

test('it forgets the models and sessions of long ago', () => {
  const estimator = new Estimator();
  estimator.learn('lab/first', { chars: 4_000, input: 4_000, output: 1 });
  for (let i = 0; i < 64; i++) estimator.learn(`lab/${i}`, { chars: 4_000, input: 4_000, output: 1 });
  expect(estimator.whole('lab/first', 4_000, 10).max_output_tokens).toBe(500);
});

test('characters are those that a model reads', () => {
  expect(charsOf('four')).toBe(4);
  expect(charsOf([{ role: 'user', content: [{ type: 'text', text: 'Hello' }] }])).toBe(5);
  expect(charsOf({ type: 'toolCall', id: 'not read', name: 'look', arguments: { at: 1 } })).toBe(4 + '{"at":1}'.length);
  expect(charsOf({ content: [{ type: 'image', data: 'x'.repeat(1_000_000) }] })).toBe(6_400);
  expect(charsOf(undefined)).toBe(0);
});
