import { describe, expect, test } from 'vitest';
import type { DecisionEvent } from './event.ts';
import { applyMask, MaskError } from './mask.ts';

const event = (more: Partial<DecisionEvent>): DecisionEvent => ({
  labels: {},
  decision_id: 'd1',
  bundles: {},
  path: 'a/b',
  timestamp: '2026-01-01T00:00:00.000Z',
  metrics: {},
  req_id: 1,
  ...more,
});

function masked(more: Partial<DecisionEvent>, rules: unknown): Partial<DecisionEvent> {
  const it = event(more);
  applyMask(it, rules);
  const { erased, input, masked, openclaw, result } = it;
  return JSON.parse(JSON.stringify({ erased, input, masked, openclaw, result }));
}

test('a string removes, and says so', () => {
  expect(masked({ input: { a: 1, b: 2 }, result: { c: 3 } }, ['/input/a', '/result/c'])).toEqual({
    input: { b: 2 },
    result: {},
    erased: ['/input/a', '/result/c'],
  });
});

test('what is not there is not said to be removed', () => {
  const rules = ['/input/x', '/input/a/b/c', '/result', '/input/list/7', '/input/list/x', '/input/a/b'];
  expect(masked({ input: { a: 1, list: [1] } }, rules)).toEqual({ input: { a: 1, list: [1] } });
});

test('the whole input, result and outcome', () => {
  const openclaw = { package: 'p' } as DecisionEvent['openclaw'];
  expect(
    masked({ input: 'secret', result: false, ...(openclaw && { openclaw }) }, ['/input', '/result', '/openclaw']),
  ).toEqual({
    erased: ['/input', '/result', '/openclaw'],
  });
});

test('an element of a list, also of one that is the input itself; those behind it move up', () => {
  expect(masked({ input: { list: [1, [2, 3]] } }, ['/input/list/1/0', '/input/list/0'])).toEqual({
    input: { list: [[3]] },
    erased: ['/input/list/1/0', '/input/list/0'],
  });
  expect(masked({ input: ['secret', 1] }, ['/input/0'])).toEqual({ input: [1], erased: ['/input/0'] });
});

test('upsert replaces, adds, and makes the objects on its way', () => {
  const upsert = (path: string, value?: unknown) => ({ op: 'upsert', path, value });
  const rules = [
    upsert('/input/a', '**'),
    upsert('/input/x/y', { z: 1 }),
    upsert('/input/l/0', null),
    upsert('/result', 'gone'),
  ];
  expect(masked({ input: { a: 1, l: [5] }, result: [1] }, rules)).toEqual({
    input: { a: '**', x: { y: { z: 1 } }, l: [null] },
    result: 'gone',
    masked: ['/input/a', '/input/x/y', '/input/l/0', '/result'],
  });
  expect(masked({ input: { a: 1 } }, [upsert('/input/a/b', 1), upsert('/input/l/0', 1), upsert('/result', 1)])).toEqual(
    {
      input: { a: 1, l: { 0: 1 } },
      masked: ['/input/l/0'],
    },
  );
});

test('without a value an upsert is null', () => {
  expect(masked({ input: { a: 1 } }, [{ op: 'upsert', path: '/input/a' }])).toMatchObject({ input: { a: null } });
});

test('two events are not given the same object', () => {
  const value = { shared: true };
  const it = event({ input: { a: 1 } });
  applyMask(it, [
    { op: 'upsert', path: '/input/a', value },
    { op: 'remove', path: '/input/a/shared' },
  ]);
  expect(value).toEqual({ shared: true });
});

describe('a key that its pointer escapes is found, however it is spelled', () => {
  test.each(['/input/a~1b', '/input/a%2Fb'])('%s', (path) => {
    expect(masked({ input: { 'a/b': 'secret', a: 1 } }, [path])).toEqual({ input: { a: 1 }, erased: [path] });
  });

  test.each(['/input/a b', '/input/a%20b'])('%s', (path) => {
    expect(masked({ input: { 'a b': 'secret', 'a%20b': 'secret' } }, [path])).toEqual({ input: {}, erased: [path] });
  });

  test('and one of an object that has it only as everybody has it is not', () => {
    expect(masked({ input: {} }, ['/input/__proto__', '/input/constructor/name'])).toEqual({ input: {} });
    const it = event({ input: JSON.parse('{"__proto__": {"a": "secret"}}') });
    applyMask(it, ['/input/__proto__/a', { op: 'upsert', path: '/input/x/__proto__/y', value: 1 }]);
    expect(JSON.stringify(it.input)).toBe('{"__proto__":{},"x":{"__proto__":{"y":1}}}');
    expect(({} as { y?: unknown }).y).toBeUndefined();
  });
});

test.each([
  ['not a list', { '/input/a': true }],
  ['null', null],
  ['a number in it', [7]],
  ['null in it', [null]],
  ['another part of the event', ['/labels/app']],
  ['no slash', ['input/a']],
  ['nothing', ['']],
  ['another op', [{ op: 'hash', path: '/input/a' }]],
  ['no op', [{ path: '/input/a' }]],
  ['no path', [{ op: 'remove' }]],
  ['a path of another type', [{ op: 'remove', path: ['input', 'a'] }]],
  ['a broken escape', ['/input/%zz']],
])('is refused as a whole: %s', (_, rules) => {
  const it = event({ input: { a: 1 } });
  const withGoodOne = Array.isArray(rules) ? ['/input/a', ...rules] : rules;
  expect(() => applyMask(it, withGoodOne)).toThrow(MaskError);
  expect(it).toEqual(event({ input: { a: 1 } }));
});
