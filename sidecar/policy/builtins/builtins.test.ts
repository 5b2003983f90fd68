import { expect, test } from 'vitest';
import { TestClock } from '../../../test/helpers/clock.ts';
import { createBuiltins } from './builtins.ts';
import { IMPURE, PURE } from './catalogue.ts';

const LIBRARY = 6;

test('the catalogue lists what there is', async () => {
  const { functions, prepare } = createBuiltins(new TestClock());
  await prepare(['time.date']);
  const listed = new Set([...PURE, ...IMPURE]);
  expect(Object.keys(functions).filter((name) => !listed.has(name))).toEqual([]);
  expect(Object.keys(functions)).toHaveLength(listed.size - LIBRARY);
});

test('within one evaluation time stands still and the same call gives the same value', () => {
  const clock = new TestClock(Date.parse('2026-11-21T12:00:00.123Z'));
  const { begin, functions } = createBuiltins(clock);
  const call = (name: string, ...args: unknown[]) => functions[name]?.(...args);
  const now = () => new TextDecoder().decode(call('time.now_ns') as ArrayBuffer);
  begin();
  const uuid = call('uuid.rfc4122', 'a');
  expect(now()).toBe('1795262400123000000');
  clock.advance(1_000);
  expect(now()).toBe('1795262400123000000');
  expect(call('uuid.rfc4122', 'a')).toBe(uuid);
  expect(call('uuid.rfc4122', 'b')).not.toBe(uuid);
  begin();
  expect(now()).toBe('1795262401123000000');
  expect(call('uuid.rfc4122', 'a')).not.toBe(uuid);
});
