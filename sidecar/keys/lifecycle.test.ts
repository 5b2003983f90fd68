import { describe, expect, test } from 'vitest';
import { apiKeySchema, gateOfKey } from '../../schemas/api-key.ts';
import { digestOfKey, idOfKey } from './key-text.ts';
import { issue, KeyConflict, revoke, rotate, stateOf } from './lifecycle.ts';

const NOW = Date.parse('2026-03-01T00:00:00Z');
const HOUR = 3_600_000;

const alice = (more = {}) => issue({ tenantId: 'acme', userId: 'alice', partition: 5, by: 'admin', ...more }, NOW);
const by = (graceMs: number) => ({ by: 'admin', expiresAt: undefined, graceMs });

test('an issued key is of its holder, and holds the digest alone', () => {
  const { key, secret } = alice({ name: 'laptop', expiresAt: NOW + HOUR });
  expect(apiKeySchema.parse(key)).toEqual(key);
  expect(key).toMatchObject({ revision: 1, tenant_id: 'acme', user_id: 'alice', name: 'laptop', created_at: NOW });
  expect(idOfKey(secret)).toBe(key.id);
  expect(key.digest).toBe(digestOfKey(secret));
  expect(JSON.stringify(key)).not.toContain(secret.slice(-38));
});

test('it ends at the very instant that it says', () => {
  const { key } = alice({ expiresAt: NOW + HOUR });
  expect([NOW, NOW + HOUR - 1, NOW + HOUR].map((now) => stateOf(key, now))).toEqual(['active', 'active', 'expired']);
  expect(stateOf(alice().key, Number.MAX_SAFE_INTEGER)).toBe('active');
});

describe('a rotation', () => {
  test('leaves two live until the grace is over', () => {
    const of = alice().key;
    const { closeGates, key, keys, secret } = rotate({ of, predecessor: undefined }, by(72 * HOUR), NOW);
    const [old, next] = keys;
    expect(next).toEqual(key);
    expect(key).toMatchObject({ tenant_id: 'acme', user_id: 'alice', rotated_from: of.id, revision: 1 });
    expect(key.digest).toBe(digestOfKey(secret));
    expect(key.digest).not.toBe(of.digest);
    expect(key.id.split('_')[0]).toBe(of.id.split('_')[0]);
    expect(old).toEqual({ ...of, revision: 2, rotated_to: key.id, expires_at: NOW + 72 * HOUR });
    expect(closeGates).toEqual([]);
    const states = (now: number) => keys.map((each) => stateOf(each, now));
    expect(states(NOW)).toEqual(['ending', 'active']);
    expect(states(NOW + 72 * HOUR)).toEqual(['expired', 'active']);
  });

  test('never prolongs the old one', () => {
    const of = alice({ expiresAt: NOW + HOUR }).key;
    const [old] = rotate({ of, predecessor: undefined }, by(72 * HOUR), NOW).keys;
    expect(old?.expires_at).toBe(NOW + HOUR);
  });

  test('gives the new one as long a life as the old one was given, unless it says otherwise', () => {
    const of = alice({ expiresAt: NOW + 90 * HOUR }).key;
    const rotated = (expiresAt: number | undefined) =>
      rotate({ of, predecessor: undefined }, { by: 'admin', expiresAt, graceMs: HOUR }, NOW + 10 * HOUR).key.expires_at;
    expect([rotated(undefined), rotated(NOW + 11 * HOUR)]).toEqual([NOW + 100 * HOUR, NOW + 11 * HOUR]);
  });

  test('without grace revokes it', () => {
    const of = alice().key;
    const { closeGates, keys } = rotate({ of, predecessor: undefined }, by(0), NOW);
    expect(keys[0]).toMatchObject({ revoked_at: NOW, revision: 2 });
    expect(closeGates).toEqual([gateOfKey(of.id)]);
  });

  test('is refused where a third would be live', () => {
    const first = rotate({ of: alice().key, predecessor: undefined }, by(HOUR), NOW);
    const [old, next] = first.keys as [typeof first.key, typeof first.key];
    expect(() => rotate({ of: old, predecessor: undefined }, by(HOUR), NOW)).toThrow(KeyConflict);
    expect(() => rotate({ of: old, predecessor: undefined }, by(HOUR), NOW)).toThrow(next.id);
    expect(() => rotate({ of: next, predecessor: old }, by(HOUR), NOW)).toThrow(old.id);
    expect(rotate({ of: next, predecessor: old }, by(HOUR), NOW + HOUR).keys).toHaveLength(2);
  });

  test('of one that has ended is refused', () => {
    const ended = alice({ expiresAt: NOW }).key;
    expect(() => rotate({ of: ended, predecessor: undefined }, by(HOUR), NOW)).toThrow('expired');
    const [revoked] = revoke(alice().key, NOW)?.keys ?? [];
    expect(() => rotate({ of: revoked as typeof ended, predecessor: undefined }, by(HOUR), NOW)).toThrow('revoked');
  });
});

test('a revocation closes the gate, once', () => {
  const { key } = alice();
  const change = revoke(key, NOW);
  expect(change).toEqual({ keys: [{ ...key, revision: 2, revoked_at: NOW }], closeGates: [gateOfKey(key.id)] });
  expect(revoke(change?.keys[0] as typeof key, NOW + 1)).toBeUndefined();
});
