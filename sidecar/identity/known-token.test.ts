import { expect, test } from 'vitest';
import { knownToken } from './known-token.ts';

/** As Node hands a header over: each byte is a character. */
const sent = (text: string) => Buffer.from(text).toString('latin1');

test.each(['secret', 'a', 'x'.repeat(254), 'grüße €'])('%s is itself and nothing else', (token) => {
  const isToken = knownToken(token);
  expect(isToken?.(sent(token))).toBe(true);
  for (const other of [
    '',
    `${token} `,
    token.slice(0, -1),
    `${token}\0`,
    token.toUpperCase() + token,
    'x'.repeat(255),
    'x'.repeat(70_000),
  ]) {
    expect(isToken?.(sent(other)), other.slice(0, 20)).toBe(false);
  }
});

test('one after the other leave nothing behind', () => {
  const isToken = knownToken('short');
  expect(isToken?.('shorter')).toBe(false);
  expect(isToken?.('short')).toBe(true);
});

test('a token without room is for digests', () => {
  expect(knownToken('x'.repeat(255))).toBeUndefined();
});
