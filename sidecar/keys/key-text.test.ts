import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { apiKeyIdSchema, partitionOfKey } from '../../schemas/api-key.ts';
import { digestOfKey, idOfKey, newKey, newKeyId } from './key-text.ts';

test('a key says its id, and the id the partition', () => {
  for (const partition of [0, 7, 63]) {
    const id = newKeyId(partition);
    expect(apiKeyIdSchema.safeParse(id).success).toBe(true);
    expect(partitionOfKey(id)).toBe(partition);
    const key = newKey(id);
    expect(key).toMatch(/^ocr_k\d{1,2}_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}$/);
    expect(idOfKey(key)).toBe(id);
  }
});

test('no two are the same', () => {
  expect(new Set(Array.from({ length: 1_000 }, () => newKey('k0_000000000000'))).size).toBe(1_000);
});

test('any one character that is mistyped is noticed, without asking anybody', () => {
  const key = newKey(newKeyId(0));
  for (let place = 0; place < key.length; place++) {
    const other = key[place] === 'x' ? 'y' : 'x';
    expect(idOfKey(`${key.slice(0, place)}${other}${key.slice(place + 1)}`)).toBeUndefined();
  }
});

test.for(['', 'ocr_', 'ak_alice_1', `ocr_k0_${'a'.repeat(12)}`, `ocr_k0_${'a'.repeat(12)}_${'a'.repeat(38)}`])(
  '%j is none',
  (text) => {
    expect(idOfKey(text)).toBeUndefined();
  },
);

test('a longer one, or one in other text, is none', () => {
  const key = newKey(newKeyId(0));
  for (const text of [`${key}a`, ` ${key}`, `${key}\n`, key.toUpperCase()]) expect(idOfKey(text)).toBeUndefined();
});

test('its digest is the SHA-256 of all of it', () => {
  const key = newKey(newKeyId(3));
  expect(digestOfKey(key)).toBe(createHash('sha256').update(key).digest('hex'));
});
