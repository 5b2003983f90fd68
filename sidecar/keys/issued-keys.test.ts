import { createHash } from 'node:crypto';
import pino from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ApiKey } from '../../schemas/api-key.ts';
import { TestClock } from '../../test/helpers/clock.ts';
import { CountersUnavailable } from '../counters/contract.ts';
import { IssuedKeys } from './issued-keys.ts';
import { issue, revoke, rotate } from './lifecycle.ts';

const NOW = Date.parse('2026-03-01T00:00:00Z');

let clock: TestClock;
let kept: Map<string, ApiKey>;
let asked: string[];
let isAway: boolean;
let keys: IssuedKeys;

const store = {
  apiKey: async (id: string) => {
    asked.push(id);
    if (isAway) throw new CountersUnavailable('away');
    return kept.get(id);
  },
};

beforeEach(() => {
  clock = new TestClock(NOW);
  kept = new Map();
  asked = [];
  isAway = false;
  keys = new IssuedKeys({ store, clock, log: pino({ level: 'silent' }) });
});

function given(more = {}) {
  const { key, secret } = issue({ tenantId: 'acme', partition: 0, by: 'admin', ...more }, NOW);
  kept.set(key.id, key);
  return { key, secret };
}

const find = (text: string) => keys.find(text, createHash('sha256').update(text).digest());

test('the store is asked once for many at once, and then not for half a second', async () => {
  const { key, secret } = given();
  expect(await Promise.all([find(secret), find(secret), find(secret)])).toEqual([key, key, key]);
  expect(asked).toHaveLength(1);
  clock.advance(499);
  expect(find(secret)).toEqual(key);
  expect(asked).toHaveLength(1);
});

test('who calls all the time never waits, and learns of a change all the same', async () => {
  const { key, secret } = given();
  await find(secret);
  kept.set(key.id, revoke(key, NOW)?.keys[0] as ApiKey);
  clock.advance(600);
  expect(find(secret)).toEqual(key);
  await new Promise(setImmediate);
  expect(find(secret)).toMatchObject({ refused: 'revoked' });
  expect(asked).toHaveLength(2);
});

test('a second after a revocation nobody is let in, whoever asked when', async () => {
  const { key, secret } = given();
  await find(secret);
  kept.set(key.id, revoke(key, NOW)?.keys[0] as ApiKey);
  clock.advance(1_000);
  expect(await find(secret)).toMatchObject({ refused: 'revoked' });
});

test('it ends by itself, also between two looks', async () => {
  const { secret } = given({ expiresAt: NOW + 100 });
  expect(await find(secret)).toMatchObject({ tenant_id: 'acme' });
  clock.advance(100);
  expect(find(secret)).toMatchObject({ refused: 'expired' });
});

test('a right id with a wrong secret is nobody’s, and says no more, also of one that is revoked', async () => {
  const { key, secret } = given();
  const other = rotate({ of: key, predecessor: undefined }, { by: 'x', expiresAt: undefined, graceMs: 0 }, NOW).secret;
  const forged = createHash('sha256').update(other).digest();
  expect(await keys.find(secret, forged)).toEqual({ refused: 'unknown' });
  kept.set(key.id, revoke(key, NOW)?.keys[0] as ApiKey);
  keys.forget(key.id);
  expect(await keys.find(secret, forged)).toEqual({ refused: 'unknown' });
});

test('one that is not kept is nobody’s, and is not remembered as such', async () => {
  const { key, secret } = given();
  kept.clear();
  expect(await find(secret)).toEqual({ refused: 'unknown' });
  kept.set(key.id, key);
  expect(await find(secret)).toEqual(key);
});

test('what has not the form of a key is none, and the store is not asked', () => {
  for (const text of ['', 'ak_alice', 'ocr_k0_short', 'x'.repeat(5_000)]) expect(find(text)).toBeUndefined();
  expect(asked).toEqual([]);
});

describe('while the store is away', () => {
  test('those that are remembered go on for ten minutes', async () => {
    const { key, secret } = given();
    await find(secret);
    isAway = true;
    clock.advance(9 * 60_000);
    expect(await find(secret)).toEqual(key);
    clock.advance(2 * 60_000);
    await expect(find(secret)).rejects.toThrow(CountersUnavailable);
  });

  test('others cannot be told from none, and are not said to be', async () => {
    const { secret } = given();
    isAway = true;
    await expect(find(secret)).rejects.toThrow(CountersUnavailable);
  });
});

test('uses are told once', async () => {
  const { key, secret } = given();
  await find(secret);
  clock.advance(10);
  find(secret);
  expect([...keys.drainUsed()]).toEqual([[key.id, NOW + 10]]);
  expect([...keys.drainUsed()]).toEqual([]);
});
