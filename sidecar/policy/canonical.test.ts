import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonical, canonicalMembers, InputError, MAX_DEPTH } from './canonical.ts';

test('equal values have equal text, whatever the order of their keys', () => {
  expect(canonical({ b: 1, a: { d: [1, 2], c: null } })).toBe(canonical({ a: { c: null, d: [1, 2] }, b: 1 }));
});

test('the text is JSON of the same value', () => {
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.string({ unit: 'grapheme' }),
      fc.boolean(),
      fc.constant(null),
      fc.maxSafeInteger(),
      fc.double({ min: -1e15, max: 1e15, noNaN: true }),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.string(), tie('value'), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(value, (any) => {
      expect(JSON.parse(canonical(any))).toEqual(JSON.parse(JSON.stringify(any)));
    }),
  );
});

test('keys are sorted as text, numbers among them, few and many, and of each the text is as it always was', () => {
  expect(canonical({ b: 'x', '9': 1, a: null, '10': true, B: 'ä' })).toBe('{"10":true,"9":1,"B":"ä","a":null,"b":"x"}');
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`k${(index * 37) % 100}`, index]));
  const text = Object.keys(many)
    .sort()
    .map((key) => `"${key}":${many[key]}`);
  expect(canonical(many)).toBe(`{${text.join()}}`);
});

test('of members that are left out, and others in their place, too', () => {
  const given = { c: 1, run_id: 'r', a: { z: 1, y: [2] }, b: '\n' };
  expect(canonicalMembers(given, new Set(['run_id']))).toBe('{"a":{"y":[2],"z":1},"b":"\\n","c":1}');
  expect(canonicalMembers(given, new Set(['a', 'run_id']), { bb: true })).toBe('{"b":"\\n","bb":true,"c":1}');
});

test('`__proto__` is a key like any other', () => {
  const value: unknown = JSON.parse('{"__proto__":{"polluted":true},"a":1}');
  expect(canonical(value)).toBe('{"__proto__":{"polluted":true},"a":1}');
});

describe('refuses what would be altered on its way', () => {
  test.each([
    ['2^53 and above', { n: JSON.parse('9007199254740993') }],
    ['a number that became infinite', [JSON.parse('1e400')]],
    ['a lone surrogate', { s: '\ud800' }],
    ['a lone surrogate in a key', { '\ud800': 1 }],
  ])('%s', (_, value) => {
    expect(() => canonical(value)).toThrow(InputError);
  });

  test('more levels than MAX_DEPTH, and not one level less', () => {
    const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
    expect(() => canonical(nested(MAX_DEPTH))).not.toThrow();
    expect(() => canonical(nested(MAX_DEPTH + 1))).toThrow(InputError);
  });
});
