import { expect, test } from 'vitest';
import { Memo } from './memo.ts';

function open() {
  const counts = { hits: 0, misses: 0 };
  const memo = new Memo(counts);
  let evaluations = 0;
  const get = (input: string, document: object = { n: input }) =>
    memo.get('p/plan', input, async () => {
      evaluations++;
      return document;
    });
  return { memo, counts, get, evaluated: () => evaluations };
}

test('the same input is evaluated once, also when asked twice at once', async () => {
  const { counts, evaluated, get } = open();
  expect(await Promise.all([get('a'), get('a'), get('b')])).toEqual([{ n: 'a' }, { n: 'a' }, { n: 'b' }]);
  expect(await get('a')).toEqual({ n: 'a' });
  expect(evaluated()).toBe(2);
  expect(counts).toEqual({ hits: 2, misses: 2 });
});

test('a failure is told to all who wait for it, and not remembered', async () => {
  const { counts, get, memo } = open();
  const fail = () => memo.get('p/plan', 'a', async () => Promise.reject(new Error('no')));
  const failures = await Promise.allSettled([fail(), fail()]);
  expect(failures.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(await get('a')).toEqual({ n: 'a' });
  expect(counts).toEqual({ hits: 1, misses: 2 });
});

test('is bounded in number and in size', async () => {
  const { get, memo } = open();
  for (let n = 0; n < 10_500; n++) await get(`${n}`);
  expect(memo.size).toBe(6_000);
  const large = { text: 'x'.repeat(60_000) };
  for (let n = 0; n < 4_000; n++) await get(`large ${n >> 1}`, large);
  expect(memo.size).toBeLessThan(1_200);
  const before = memo.size;
  await get('x'.repeat(8_193));
  await get('too large an answer', { text: 'x'.repeat(70_000) });
  expect(memo.size).toBe(before);
});

test('once it is full, what is asked once drives out nothing that is asked often', async () => {
  const { evaluated, get, memo } = open();
  for (let n = 0; n < 6_000; n++) await get(`${n}`);
  for (let n = 0; n < 5_000; n++) await get(`once ${n}`);
  expect(memo.size).toBe(6_000);
  const before = evaluated();
  for (let n = 0; n < 6_000; n++) await get(`${n}`);
  expect(evaluated()).toBe(before);
  // The second time it is remembered.
  await get('once 4999');
  await get('once 4999');
  expect(evaluated()).toBe(before + 1);
});
