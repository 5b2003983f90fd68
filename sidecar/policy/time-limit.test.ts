import { expect, test } from 'vitest';
import { TimeLimit } from './time-limit.ts';

const endless = () => {
  for (;;);
};

test('what comes to its end has done its work', () => {
  let done = 0;
  const limit = new TimeLimit();
  expect(
    limit.completes(() => {
      done++;
    }, 1_000),
  ).toBe(true);
  expect(done).toBe(1);
});

test('what has no end is interrupted, each time, and what was done before stays', () => {
  const limit = new TimeLimit();
  const done: number[] = [];
  for (const time of [1, 2, 3]) {
    const work = () => {
      done.push(time);
      endless();
    };
    expect(limit.completes(work, 5)).toBe(false);
  }
  expect(done).toEqual([1, 2, 3]);
});

test('the work cannot hold on to its time', () => {
  const clinging = () => {
    try {
      endless();
    } finally {
      endless();
    }
  };
  expect(new TimeLimit().completes(clinging, 5)).toBe(false);
});

test('what the work throws is thrown', () => {
  const failing = () => {
    throw 'a text';
  };
  expect(() => new TimeLimit().completes(failing, 1_000)).toThrow('a text');
});
