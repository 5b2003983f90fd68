import { expect, test } from 'vitest';
import { duration, grouped, money, percent } from './format.tsx';

test.each([
  ['0', '$0.00'],
  ['0.0001', '$0.0001'],
  ['0.00004', '$0.00'],
  ['0.0099', '$0.0099'],
  ['0.01', '$0.01'],
  ['0.858900000000', '$0.86'],
  ['1234567.005', '$1,234,567.01'],
  ['-12.5', '−$12.50'],
  ['1.0000000000000000000000005', '$1.00'],
])('%s dollars are shown as %s', (amount, shown) => {
  expect(money(amount)).toBe(shown);
});

test('other currencies are named', () => {
  expect(money('12.50', 'EUR')).toBe('EUR 12.50');
});

test('numbers of any size keep their digits', () => {
  expect(grouped(9_007_199_254_740_991)).toBe('9,007,199,254,740,991');
  expect(grouped(123_456_789_012_345_678_901n)).toBe('123,456,789,012,345,678,901');
  expect(grouped('1234.5678')).toBe('1,234.5678');
  expect(grouped(-1_000)).toBe('-1,000');
});

test('100 percent are all of it', () => {
  expect([percent(999, 1_000), percent(1_000, 1_000), percent(1, 0), percent(0, 0)]).toEqual([99, 100, 100, 0]);
});

test.each([
  [59_000, 'less than a minute'],
  [60_000, '1 min'],
  [5 * 3_600_000 + 20 * 60_000, '5 h 20 min'],
  [2 * 86_400_000 + 59_000, '2 d'],
])('%i milliseconds are %s', (milliseconds, shown) => {
  expect(duration(milliseconds)).toBe(shown);
});
