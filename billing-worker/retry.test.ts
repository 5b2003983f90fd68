import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Log } from '../runtime/log.ts';
import { retry } from './retry.ts';

const said: string[] = [];
const log = {
  error: (_: unknown, text: string) => said.push(`error: ${text}`),
  info: (_: unknown, text: string) => said.push(`info: ${text}`),
} as unknown as Log;

beforeEach(() => {
  said.length = 0;
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** Fails with each of these messages in turn, then works. */
const failing = (...messages: string[]) =>
  vi.fn(async () => {
    const message = messages.shift();
    if (message) throw new Error(message);
    return 'done';
  });

test('an outage is one line for each error in it, and one when it is over', async () => {
  const result = retry(failing('away', 'away', 'away', 'starting', 'starting'), { what: 'the database', log });
  await vi.runAllTimersAsync();
  expect(await result).toBe('done');
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
  const waits = vi.spyOn(globalThis, 'setTimeout');
  const attempt = failing(...Array<string>(12).fill('away'));
  const result = retry(attempt, { what: 'it', log });
  const times: number[] = [];
  for (let i = 0; i < 12; i++) {
    const before = Date.now();
    await vi.advanceTimersToNextTimerAsync();
    times.push(Date.now() - before);
  }
  await result;
  waits.mockRestore();
  for (const [i, time] of times.entries()) {
    const longest = Math.min(10_000, 100 * 2 ** i);
    expect(time).toBeGreaterThanOrEqual(Math.floor(longest / 2));
    expect(time).toBeLessThanOrEqual(longest);
  }
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
  vi.useRealTimers();
  const stopping = new AbortController();
  const result = retry(failing(...Array<string>(50).fill('away')), { what: 'it', log, signal: stopping.signal });
  setTimeout(() => stopping.abort(), 250);
  const began = performance.now();
  await expect(result).rejects.toThrow('away');
  expect(performance.now() - began).toBeLessThan(1_000);
});
