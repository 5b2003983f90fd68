import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hasDuplicateNames } from './duplicate-names.ts';

describe('finds a name that is given twice', () => {
  test.each([
    ['{"a":1,"a":2}'],
    ['{ "a" : 1 , "b" : {"a":1}, "a" : 1 }'],
    ['{"a":{"b":1,"b":1}}'],
    ['[{"a":1,"a":1}]'],
    ['{"a":1,"\\u0061":2}'],
    ['{"":1,"":2}'],
    ['{"__proto__":1,"__proto__":2}'],
    ['{"a":"x\\"","b":[1,{"c":"}"}],"a":2}'],
  ])('%s', (json) => {
    expect(JSON.parse(json)).toBeDefined();
    expect(hasDuplicateNames(json)).toBe(true);
  });

  test('wherever it is', () => {
    const member = fc.tuple(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(
        fc.array(member),
        member,
        fc.jsonValue(),
        fc.array(member),
        (before, [name, first], second, after) => {
          const all = [...before, [name, first], ...after, [name, second]];
          const json = `{${all.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`;
          expect(hasDuplicateNames(json)).toBe(true);
        },
      ),
    );
  });
});

test('finds none where there is none', () => {
  expect(hasDuplicateNames('{"a":"a","b":{"a":1},"c":[{"a":1},{"a":1}],"d":"\\"a\\":1,\\"a\\":2"}')).toBe(false);
  // An object in JavaScript has each name once.
  fc.assert(fc.property(fc.jsonValue(), (value) => !hasDuplicateNames(JSON.stringify(value, null, 1))));
});
