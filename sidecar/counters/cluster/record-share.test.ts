import { expect, test } from 'vitest';
import { RecordShare } from './record-share.ts';

test('before anything is known, a partition may hold all', () => {
  expect(new RecordShare(100).maxOf('p0')).toBe(100);
});

test('what is left is shared, so that all together never hold more', () => {
  const share = new RecordShare(100);
  for (const [partition, records] of Object.entries({ p0: 50, p1: 10, p2: 0, p3: 0 })) share.learn(partition, records);
  const most = ['p0', 'p1', 'p2', 'p3'].map((partition) => share.maxOf(partition));
  expect(most).toEqual([60, 20, 10, 10]);
  expect(most.reduce((sum, each) => sum + each)).toBe(100);
});

test('when nothing is left, nobody may hold more than they do', () => {
  const share = new RecordShare(100);
  share.learn('p0', 80);
  share.learn('p1', 30);
  expect([share.maxOf('p0'), share.maxOf('p1')]).toEqual([80, 30]);
});
