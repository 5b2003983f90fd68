import { expect, test } from 'vitest';
// @ts-expect-error: a script without declarations
import { byCurrency, sum } from './money.mjs';

test.each([
  [[], '0'],
  [['1.10', '-0.2'], '0.90'],
  [['9007199254740993.01', '0.01'], '9007199254740993.02'],
  [['-0.05', '0.01'], '-0.04'],
  [['100', '1'], '101'],
])('%j come to %s', (decimals, total) => {
  expect(sum(decimals)).toBe(total);
});

test('currencies are not added to one another', () => {
  const amounts = [
    { currency: 'USD', total: '1.00' },
    { currency: 'JPY', total: '7' },
    { currency: 'USD', total: '0.50' },
  ];
  expect(byCurrency(amounts)).toEqual({ JPY: '7', USD: '1.50' });
});

test('what is no amount is none', () => {
  expect(() => sum(['1e3'])).toThrow('no amount');
});
