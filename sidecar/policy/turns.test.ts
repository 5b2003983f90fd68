import { expect, test } from 'vitest';
import { Turns } from './turns.ts';

const job = (n: number) => ({ entrypoint: `${n}`, input: undefined, resolve: () => {}, reject: () => {} });
const numbers = (turns: Turns, wary: boolean) => turns.next({ wary }).map(({ entrypoint }) => Number(entrypoint));
const from = (first: number, count: number) => Array.from({ length: count }, (_, n) => first + n);

function waiting(count: number): Turns {
  const turns = new Turns();
  for (const n of from(0, count)) turns.add(job(n));
  return turns;
}

test('in order, 64 at a time', () => {
  const turns = waiting(100);
  expect(numbers(turns, false)).toEqual(from(0, 64));
  expect(numbers(turns, false)).toEqual(from(64, 36));
  expect(turns.empty).toBe(true);
});

test('while wary a few at a time, and in turns those who came last and those who came first', () => {
  const turns = waiting(40);
  expect(numbers(turns, true)).toEqual(from(32, 8));
  expect(numbers(turns, true)).toEqual(from(0, 8));
  expect(numbers(turns, true)).toEqual(from(24, 8));
  expect(numbers(turns, true)).toEqual(from(8, 8));
  expect(numbers(turns, true)).toEqual(from(16, 8));
  expect(turns.empty).toBe(true);
});

test('those that lost their thread are the first again', () => {
  const turns = waiting(2);
  turns.putBack([job(7), job(8)]);
  expect(numbers(turns, false)).toEqual([7, 8, 0, 1]);
});

test('all are given back', () => {
  const turns = waiting(2);
  turns.add(job(2));
  expect(turns.clear().map(({ entrypoint }) => Number(entrypoint))).toEqual([0, 1, 2]);
  expect(turns.empty).toBe(true);
});
