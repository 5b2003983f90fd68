import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inexactNumber } from './exact-numbers.ts';

test.each([
  '0',
  '-0',
  '1.0',
  '1e2',
  '-12.50',
  '0.1',
  '9007199254740991',
  '-9007199254740991',
  '1e-7',
  '0.30000000000000004',
  '1.7976931348623157e-300',
  '5e-324',
  '1000000000000000',
  '0.1000000000000000000',
  '0e999',
  '1e15',
])('%s is kept', (number) => {
  expect(inexactNumber(`{"a":[${number}]}`)).toBeUndefined();
});

test.each([
  '9007199254740992',
  '9007199254740993',
  '-9007199254740993',
  '1e400',
  '1e16',
  '1e-400',
  '123456789012345678901234567890',
  '0.1234567890123456789',
  '9007199254740990.5',
  '1.00000000000000001',
])('%s is not', (number) => {
  expect(inexactNumber(`{"a":"1e400","b":${number}}`)).toBe(number);
  expect(inexactNumber(number)).toBe(number);
});

describe('strings are no numbers', () => {
  test.each(['"1e400"', '"\\"1e400"', '"\\\\", "1e400"', '{"12345678901234567890": "9\\\\"}'])('%s', (json) => {
    expect(inexactNumber(`[${json}]`)).toBeUndefined();
  });

  test.each([['x'], ['\\n'], ['\\"']])('however long: %s', (part) => {
    const long = `"${part.repeat(500_000)}"`;
    expect(inexactNumber(`[1e2, ${long}, 1e400]`)).toBe('1e400');
  });
});

test('every number that JavaScript writes, up to the safe integers, is kept', () => {
  const number = fc.double({ noNaN: true, min: -Number.MAX_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER });
  fc.assert(
    fc.property(number, (value) => {
      expect(inexactNumber(JSON.stringify([value]))).toBeUndefined();
    }),
  );
});

test('agrees with exact arithmetic', () => {
  const digits = fc.stringMatching(/^[1-9]\d{0,24}$/);
  fc.assert(
    fc.property(digits, (text) => {
      const kept = BigInt(text) === BigInt(Number(text)) && BigInt(text) <= BigInt(Number.MAX_SAFE_INTEGER);
      expect(inexactNumber(`[${text}]`) === undefined).toBe(kept);
    }),
  );
});
