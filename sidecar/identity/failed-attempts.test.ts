import { beforeEach, expect, test } from 'vitest';
import { TestClock } from '../../test/helpers/clock.ts';
import { FailedAttempts, MOST_FAILURES } from './failed-attempts.ts';

let clock: TestClock;
let attempts: FailedAttempts;

beforeEach(() => {
  clock = new TestClock(0);
  attempts = new FailedAttempts(clock);
});

function fail(address: string | undefined, times = MOST_FAILURES) {
  for (let time = 0; time < times; time++) attempts.failed(address);
}

test('so many wrong ones, and the next waits until the minute is over, be it right or wrong', () => {
  fail('10.0.0.1', MOST_FAILURES - 1);
  expect(attempts.waitOf('10.0.0.1', 'right')).toBeUndefined();
  fail('10.0.0.1', 1);
  expect(attempts.waitOf('10.0.0.1', 'right')).toBe(60_000);
  clock.advance(59_999);
  expect(attempts.waitOf('10.0.0.1', 'right')).toBe(1);
  clock.advance(1);
  expect(attempts.waitOf('10.0.0.1', 'right')).toBeUndefined();
  fail('10.0.0.1', MOST_FAILURES - 1);
  expect(attempts.waitOf('10.0.0.1', 'right')).toBeUndefined();
});

test('other addresses go on', () => {
  fail('10.0.0.1');
  expect(attempts.waitOf('10.0.0.2', 'right')).toBeUndefined();
  expect(attempts.waitOf(undefined, 'right')).toBeUndefined();
});

test('what was right before goes on, for an hour', () => {
  attempts.succeeded('right');
  fail('10.0.0.1');
  expect(attempts.waitOf('10.0.0.1', 'right')).toBeUndefined();
  expect(attempts.waitOf('10.0.0.1', 'other')).toBeDefined();
  clock.advance(60 * 60_000);
  fail('10.0.0.1');
  expect(attempts.waitOf('10.0.0.1', 'right')).toBeDefined();
});

test('a network of IPv6 is one', () => {
  for (const address of ['2001:db8:1:2::1', '2001:db8:1:2:ffff::2', '2001:db8:1:2:1:2:3:4']) fail(address, 10);
  expect(attempts.waitOf('2001:db8:1:2::99', 'right')).toBeDefined();
  expect(attempts.waitOf('2001:db8:1:3::1', 'right')).toBeUndefined();
  expect(attempts.waitOf('::1', 'right')).toBeUndefined();
});

test('memory stays bounded, whoever tries from wherever', () => {
  for (let index = 0; index < 50_000; index++)
    attempts.failed(`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`);
  fail('10.9.9.9');
  expect(attempts.waitOf('10.9.9.9', 'right')).toBeDefined();
});

test('where what is right has changed, all begin anew', () => {
  attempts.succeeded('right');
  fail('10.0.0.1');
  attempts.forget();
  expect(attempts.waitOf('10.0.0.1', 'other')).toBeUndefined();
  fail('10.0.0.1');
  expect(attempts.waitOf('10.0.0.1', 'right')).toBeDefined();
});
