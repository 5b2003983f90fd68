import { describe, expect, test } from 'vitest';
import { modelsSchema } from './models.ts';
import { RateCard, rateCardOf } from './rate-card.ts';

const BEGINNING = Number.MIN_SAFE_INTEGER;
const END = Number.MAX_SAFE_INTEGER;
const NOW = Date.parse('2026-06-01T00:00:00Z');

const cardOf = (models: object) => new RateCard(modelsSchema.parse({ models }));
const flat = (input: string, output = input) => ({ input, output, cache_read: input, cache_write: input });

describe('a name stands for', () => {
  const card = cardOf({
    'lab/large': { input: '3', output: '3', aliases: ['large', 'lab/small'] },
    'lab/small': { input: '1', output: '1' },
    'lab/*': { input: '2', output: '2', aliases: ['all-*'] },
    'lab/small-*': { input: '4', output: '4', aliases: ['all-small-*', 'old-small'] },
    'lab/!*': { input: '5', output: '5' },
  });

  test.each([
    ['lab/large', 'lab/large'],
    ['large', 'lab/large'],
    ['lab/small', 'lab/small'],
    ['lab/unheard-of', 'lab/*'],
    ['lab/', 'lab/*'],
    ['lab/*', 'lab/*'],
    ['lab/small-2', 'lab/small-*'],
    ['lab/smaller', 'lab/*'],
    ['lab/!x', 'lab/!*'],
    ['all-x', 'lab/*'],
    ['all-small-x', 'lab/small-*'],
    ['old-small', 'lab/small-*'],
    ['lab', undefined],
    ['', undefined],
    ['constructor', undefined],
    ['__proto__', undefined],
  ])('%j: %s', (name, id) => {
    expect(card.resolve(name)).toBe(id);
    expect(card.at(name, NOW)?.id).toBe(id);
  });

  test('and one wildcard may stand for all others', () => {
    expect(cardOf({ '*': { input: '1', output: '1' }, 'lab/a': {} }).resolve('anything')).toBe('*');
  });
});

describe('a price', () => {
  test('holds for ever where there is no other', () => {
    const card = cardOf({ a: { input: '3.00', output: '15.00' } });
    const price = flat('3.00', '15.00');
    expect(card.spans('a')).toEqual([{ from: BEGINNING, to: END, price }]);
    expect(card.at('a', 0)).toEqual({ id: 'a', from: BEGINNING, price });
  });

  test('holds from its instant to that of the next, of the cheapest and dearest type', () => {
    const card = cardOf({
      a: {
        input: '3',
        output: '15',
        cache_read: '0.3',
        prices: [
          { effective_from: '2026-03-01', input: '2', output: '10', cache_write: '2.5', reasoning: '12' },
          { effective_from: '2026-05-01T00:00:00+02:00', input: '0', output: '0' },
        ],
      },
    });
    const [march, may] = [Date.parse('2026-03-01T00:00:00Z'), Date.parse('2026-04-30T22:00:00Z')];
    const own = { input: '3', output: '15', cache_read: '0.3', cache_write: '3' };
    const second = { input: '2', output: '10', cache_read: '2', cache_write: '2.5', reasoning: '12' };
    expect(card.spans('a')).toEqual([
      { from: BEGINNING, to: march, price: own },
      { from: march, to: may, price: second },
      { from: may, to: END, price: flat('0') },
    ]);
    expect(card.at('a', march - 1)?.price).toEqual(own);
    expect(card.at('a', march)).toEqual({ id: 'a', from: march, price: second });
    expect(card.at('a', may - 1)?.from).toBe(march);
    expect(card.at('a', may)).toEqual({ id: 'a', from: may, price: flat('0') });
  });

  test('that begins later does not hold before', () => {
    const card = cardOf({ a: { prices: [{ effective_from: '2026-03-01', input: '2', output: '10' }] } });
    expect(card.at('a', Date.parse('2026-02-28T23:59:59.999Z'))).toBeUndefined();
    expect(card.at('a', Date.parse('2026-03-01T00:00:00Z'))?.price).toEqual(flat('2', '10'));
    expect(card.spans('a')[0]).toEqual({ from: BEGINNING, to: Date.parse('2026-03-01'), price: undefined });
  });

  test('that is not given is none, and not zero', () => {
    const card = cardOf({
      a: { weight: 3, cache_read: '1' },
      zero: { input: '0', output: '0' },
      embed: { input: '1', output: '0' },
    });
    expect(card.at('a', NOW)).toBeUndefined();
    expect(card.resolve('a')).toBe('a');
    expect(card.at('unknown', NOW)).toBeUndefined();
    expect(card.spans('unknown')).toEqual([{ from: BEGINNING, to: END, price: undefined }]);
    expect(card.at('zero', NOW)?.price).toEqual(flat('0'));
    expect(card.at('embed', NOW)?.price).toEqual(flat('1', '0'));
  });
});

test('the card of a configuration is made once', () => {
  const models = modelsSchema.parse({ models: { a: {} } });
  expect(rateCardOf(models)).toBe(rateCardOf(models));
  expect(rateCardOf(modelsSchema.parse({ models: {} })).resolve('a')).toBeUndefined();
});
