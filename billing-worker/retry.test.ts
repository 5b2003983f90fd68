import { beforeEach, expect, test, vi } from 'vitest';
import type { Log } from '../runtime/log.ts';
import { retry } from './retry.ts';

const said: string[] = [];
const log = {
  error: (_: unknown, text: string) => said.push(`error: ${text}`),
  info: (_: unknown, text: string) => said.push(`info: ${text}`),
} as unknown as Log;

const waits: number[] = [];
const pause = async (milliseconds: number) => waits.push(milliseconds);

beforeEach(() => {
  said.length = 0;
  waits.length = 0;
});

/** Fails with each of these messages in turn, then works. */
const failing = (...messages: string[]) =>
  vi.fn(async () => {
    const message = messages.shift();
    if (message) throw new Error(message);
    return 'done';
  });

test('an outage is one line for each error in it, and one when it is over', async () => {
  const attempt = failing('away', 'away', 'away', 'starting', 'starting');
  expect(await retry(attempt, { what: 'the database', log, pause })).toBe('done');
  expect(said).toEqual([
    'error: the database does not work; trying on',
    'error: the database does not work; trying on',
    'info: the database works again',
  ]);
});

test('what works at once says nothing', async () => {
  expect(await retry(failing(), { what: 'it', log })).toBe('done');
  expect(said).toEqual([]);
});

test('waits longer each time, by a random share, and never more than 10 s', async () => {
  await retry(failing(...Array<string>(12).fill('away')), { what: 'it', log, pause });
  expect(waits).toHaveLength(12);
  for (const [i, wait] of waits.entries()) {
    const longest = Math.min(10_000, 100 * 2 ** i);
    expect(wait).toBeGreaterThanOrEqual(longest / 2);
    expect(wait).toBeLessThanOrEqual(longest);
  }
  expect(new Set(waits.slice(7)).size).toBeGreaterThan(1);
});

test('what is not worth another try is thrown at once', async () => {
  const attempt = failing('wrong password');
  await expect(retry(attempt, { what: 'it', log, retryable: () => false })).rejects.toThrow('wrong password');
  expect(attempt).toHaveBeenCalledTimes(1);
});

test('once stopped there is one attempt and no wait', async () => {
  const signal = AbortSignal.abort();
  expect(await retry(failing(), { what: 'it', log, signal })).toBe('done');
  const attempt = failing('away', 'away');
  await expect(retry(attempt, { what: 'it', log, signal })).rejects.toThrow('away');
  expect(attempt).toHaveBeenCalledTimes(1);
});

test('a stop ends the wait', async () => {
  const stopping = new AbortController();
  const result = retry(failing(...Array<string>(50).fill('away')), { what: 'it', log, signal: stopping.signal });
  setTimeout(() => stopping.abort(), 250);
  const began = performance.now();
  await expect(result).rejects.toThrow('away');
  expect(performance.now() - began).toBeLessThan(1_000);
});
