import { expect, test } from 'vitest';
import { TestClock } from '../../../test/helpers/clock.ts';
import { StoreClock } from './store-clock.ts';

const STORE = 1_000_000;

function exchange(clock: TestClock, store: StoreClock, there: number, back: number, offset = STORE): void {
  const asked = store.asked();
  clock.advance(there);
  const storeTime = clock.monotonic() + offset;
  clock.advance(back);
  store.learn(storeTime, asked);
}

test('a deadline is never later than the end of our waiting, whatever the way takes', () => {
  const clock = new TestClock();
  const store = new StoreClock(clock);
  expect(store.known).toBe(false);
  for (const [there, back] of [
    [5, 40],
    [40, 5],
    [1, 1],
    [0, 90],
    [90, 0],
  ] as const) {
    exchange(clock, store, there, back);
    const deadline = store.after(store.asked(), 250);
    expect(deadline).toBeLessThanOrEqual(clock.monotonic() + STORE + 250);
  }
  expect(store.after(store.asked(), 250)).toBeGreaterThanOrEqual(clock.monotonic() + STORE + 249);
});

test('a store whose clock jumps is known again with its next reply', () => {
  const clock = new TestClock();
  const store = new StoreClock(clock);
  exchange(clock, store, 1, 1);
  for (const offset of [STORE + 3_600_000, STORE - 3_600_000]) {
    exchange(clock, store, 1, 1, offset);
    const wrong = store.after(store.asked(), 0) - (clock.monotonic() + offset);
    expect(Math.abs(wrong)).toBeLessThanOrEqual(2);
  }
});

test('our own wall clock does not matter', () => {
  const clock = new TestClock();
  const store = new StoreClock(clock);
  exchange(clock, store, 0, 0);
  clock.set(clock.now() + 86_400_000);
  expect(store.after(store.asked(), 10)).toBe(clock.monotonic() + STORE + 10);
});
