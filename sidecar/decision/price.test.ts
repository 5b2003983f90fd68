import { expect, test } from 'vitest';
import { modelsSchema } from '../../schemas/config/models.ts';
import { nanosOf } from './price.ts';

const NOW = Date.parse('2026-11-21T00:00:00Z');

const card = modelsSchema.parse({
  models: {
    'lab/large': { input: '3.00', output: '15.00', aliases: ['large'] },
    'lab/small': { input: '0.035', output: '0.14' },
    'lab/odd': { input: '0.000000000001', output: '0' },
    'lab/free': {},
    'lab/cached': { input: '3', output: '15', cache_read: '0.3', cache_write: '3.75', reasoning: '20' },
    'lab/wild-*': { input: '1', output: '2' },
    'lab/dated': { input: '1', output: '1', prices: [{ effective_from: '2026-11-01', input: '2', output: '2' }] },
    'lab/later': { prices: [{ effective_from: '2026-12-01', input: '2', output: '2' }] },
  },
});

test.each([
  [{ input: 1_000, output: 500 }, 'lab/large', 10_500_000],
  [{ input: 1_000, output: 500 }, 'large', 10_500_000],
  [{ input: 1_000, output: 500 }, 'lab/wild-x', 2_000_000],
  [{ input: 1_000, cache_read: 200, cache_write: 300, output: 0 }, 'lab/cached', 4_185_000],
  [{ output: 500, reasoning: 400 }, 'lab/cached', 9_500_000],
  // Reasoning is part of the output, so there is no more of it.
  [{ output: 500, reasoning: 501 }, 'lab/cached', 10_000_000],
  [{ input: 1_000 }, 'lab/dated', 2_000_000],
  [{ input: 1_000, cache_read: 200, cache_write: 300, output: 0 }, 'lab/large', 4_500_000],
  [{ output: 500, reasoning: 400 }, 'lab/large', 7_500_000],
  [{ input: 1 }, 'lab/small', 35],
  [{ input: 1, output: 1 }, 'lab/small', 175],
  [{ input: 1 }, 'lab/odd', 1],
  [{ input: 0 }, 'lab/odd', 0],
  [{}, 'lab/large', 0],
  [{ input: Number.MAX_SAFE_INTEGER }, 'lab/odd', 9_007_200],
])('%j by %s costs %i nano-dollars', (usage, model, nanos) => {
  expect(nanosOf(usage, model, card, NOW)).toBe(nanos);
});

test.each(['lab/free', 'lab/later', 'lab/unknown', '', 'constructor'])('%j has no price', (model) => {
  expect(nanosOf({ input: 1 }, model, card, NOW)).toBeUndefined();
});

test('the price is that of the instant', () => {
  const start = Date.parse('2026-11-01T00:00:00Z');
  expect(nanosOf({ input: 1_000 }, 'lab/dated', card, start - 1)).toBe(1_000_000);
  expect(nanosOf({ input: 1_000 }, 'lab/dated', card, start)).toBe(2_000_000);
});
