import { expect, test } from 'vitest';
import { AskedAgain } from './asked-again.ts';

test('what comes again is told from what comes once', () => {
  const asked = new AskedAgain(10);
  expect([asked.is('a'), asked.is('b'), asked.is('a'), asked.is('b')]).toEqual([false, false, true, true]);
  // It begins anew: whoever let it in has it now.
  expect(asked.is('a')).toBe(false);
});

test('of too many those that came last are told', () => {
  const asked = new AskedAgain(2);
  for (const key of ['a', 'b', 'c']) asked.is(key);
  expect([asked.is('c'), asked.is('b'), asked.is('a')]).toEqual([true, true, false]);
});
