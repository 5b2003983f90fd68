import { ErrorReply } from 'redis';
import { describe, expect, test } from 'vitest';
import { readRefusal, SlotMap } from './cluster-map.ts';

describe('what a node refuses before it begins', () => {
  test.each([
    ['MOVED 3999 127.0.0.1:6381', { kind: 'moved', address: '127.0.0.1:6381' }],
    ['ASK 3999 node-2.example:6381', { kind: 'ask', address: 'node-2.example:6381' }],
    ['MOVED 3999 :6381', { kind: 'moved', address: 'asked:6381' }],
    ['MOVED 3999 ?:6381', { kind: 'moved', address: 'asked:6381' }],
    ['ASK 1 2001:db8::1:6381', { kind: 'ask', address: '[2001:db8::1]:6381' }],
    ['TRYAGAIN Multiple keys request during rehashing of slot', { kind: 'later' }],
    ['CLUSTERDOWN Hash slot not served', { kind: 'later' }],
  ])('%s', (message, refusal) => {
    expect(readRefusal(new ErrorReply(message), 'asked:7000')).toEqual(refusal);
  });

  test.each(['CROSSSLOT Keys', 'BUSY', 'OOM', 'ERR MOVED 1 a:2', 'MOVED', 'MOVEDON 1 a:2', 'TRYAGAINST'])(
    '%s is no such answer',
    (message) => expect(readRefusal(new ErrorReply(message), 'asked:7000')).toBeUndefined(),
  );

  test('nor is any failure that no server answered', () => {
    expect(readRefusal(new Error('MOVED 3999 127.0.0.1:6381'), 'asked:7000')).toBeUndefined();
  });
});

test('the map says who holds a slot, and whether every one is held', () => {
  const map = new SlotMap();
  expect(map.whole).toBe(false);
  map.replace(
    [
      [0, 99, ['10.0.0.1', 7001, 'id', []], ['10.0.0.9', 7009, 'replica', []]],
      [100, 16_383, [null, 7002, 'id', []]],
    ],
    'asked:7000',
  );
  expect([map.ownerOf(0), map.ownerOf(99), map.ownerOf(100)]).toEqual(['10.0.0.1:7001', '10.0.0.1:7001', 'asked:7002']);
  expect([...map.masters]).toEqual(['10.0.0.1:7001', 'asked:7002']);
  expect(map.whole).toBe(true);
  map.move(99, '10.0.0.3:7003');
  expect([map.ownerOf(98), map.ownerOf(99)]).toEqual(['10.0.0.1:7001', '10.0.0.3:7003']);
  expect(map.masters.has('10.0.0.3:7003')).toBe(true);
  map.replace([[0, 5, ['10.0.0.1', 7001]]], 'asked:7000');
  expect([map.ownerOf(5), map.ownerOf(6), map.whole]).toEqual(['10.0.0.1:7001', undefined, false]);
});
