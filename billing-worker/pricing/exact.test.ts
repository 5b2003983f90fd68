import { describe, expect, test } from 'vitest';
import { exact, fixed, product, prorated, rounded, shown } from './exact.ts';

describe('an amount', () => {
  test.each([
    ['0', '0'],
    ['-0.00', '0'],
    ['3.00', '3'],
    ['100', '100'],
    ['1000.010', '1000.01'],
    ['-0.5', '-0.5'],
    ['0.000000000000000000000001', '0.000000000000000000000001'],
    [
      '123456789012345678901234567890.123456789012345678901234',
      '123456789012345678901234567890.123456789012345678901234',
    ],
  ])('%s is shown as %s', (given, text) => {
    expect(shown(exact(given))).toBe(text);
  });

  test.each(['', '1.', '.5', '1e3', '0x1', '+1', ' 1', '1,5', 'NaN', '0.0000000000000000000000001'])(
    '%j is none',
    (text) => {
      expect(() => exact(text)).toThrow(RangeError);
    },
  );

  test.each([
    ['0.005', 2, '0.01'],
    ['-0.005', 2, '-0.01'],
    ['0.004999999999999999999999', 2, '0.00'],
    ['-0.004', 2, '0.00'],
    ['1.005', 2, '1.01'],
    ['2.675', 2, '2.68'],
    ['8.888871', 2, '8.89'],
    ['0.5', 0, '1'],
    ['-1.5', 0, '-2'],
    ['1.0005', 3, '1.001'],
    ['9.995', 2, '10.00'],
  ])('%s to %i places is %s', (given, places, text) => {
    expect(fixed(rounded(exact(given), places), places)).toBe(text);
  });
});

test('a product keeps every place, or is none', () => {
  expect(shown(product('1234567', '3.00', 1_000_000))).toBe('3.703701');
  expect(shown(product('-9007199254740993', '0.000000000001', 1_000_000))).toBe('-0.009007199254740993');
  expect(() => product('0.000000000000000001', '0.0000001', 1)).toThrow('more than 24 places');
});

test('a part of an amount has 12 places, rounded half up', () => {
  expect(shown(prorated('1', 1n, 3n))).toBe('0.333333333333');
  expect(shown(prorated('2', 1n, 3n))).toBe('0.666666666667');
  expect(shown(prorated('0.000000000001', 1n, 2n))).toBe('0.000000000001');
  expect(shown(prorated('49.00', 31n, 31n))).toBe('49');
});
