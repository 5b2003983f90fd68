import { expect, test } from 'vitest';
import { modelsSchema } from '../../schemas/config/models.ts';
import { nanosOf } from './price.ts';

const card = modelsSchema.parse({
  models: {
    'lab/large': { input: '3.00', output: '15.00', aliases: ['large', 'both'] },
    'lab/small': { input: '0.035', output: '0.14', aliases: ['both'] },
    'lab/odd': { input: '0.000000000001' },
    'lab/free': {},
  },
});

test.each([
  [{ input: 1_000, output: 500 }, 'lab/large', 10_500_000],
  [{ input: 1_000, output: 500 }, 'large', 10_500_000],
  [{ input: 1_000, output: 500 }, 'both', 10_500_000],
  [{ input: 1_000, cache_read: 200, cache_write: 300, output: 0 }, 'lab/large', 4_500_000],
  [{ output: 500, reasoning: 400 }, 'lab/large', 7_500_000],
  [{ input: 1 }, 'lab/small', 35],
  [{ input: 1, output: 1 }, 'lab/small', 175],
  [{ input: 1 }, 'lab/odd', 1],
  [{ input: 0 }, 'lab/odd', 0],
  [{}, 'lab/large', 0],
  [{ input: Number.MAX_SAFE_INTEGER }, 'lab/odd', 9_007_200],
])('%j by %s costs %i nano-dollars', (usage, model, nanos) => {
  expect(nanosOf(usage, model, card)).toBe(nanos);
});

test.each(['lab/free', 'lab/unknown', '', 'constructor'])('%j has no price', (model) => {
  expect(nanosOf({ input: 1 }, model, card)).toBeUndefined();
});
