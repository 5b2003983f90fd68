import type { Dice } from './dice.ts';

/** Names that mean something to JavaScript, Lua, Redis, SQL, HTML, spreadsheets, terminals, paths or Prometheus. */
const NAMES = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '',
  ' ',
  '.',
  '..',
  '../../etc/passwd',
  '{',
  '}',
  '{p0}',
  ':',
  'a:b',
  'a\u0000b',
  '\u0000',
  'a\r\nSet-Cookie: x=1',
  'a\nb',
  '\u001b[31mred\u001b[0m',
  '\u009b31m',
  '\u2028',
  '\u202e',
  '\ud800',
  '\udfff\ud800',
  '🦞',
  'é'.repeat(128),
  'x'.repeat(256),
  'x'.repeat(257),
  'y'.repeat(5_000),
  '"',
  "'",
  "' or 1=1 --",
  '<script>alert(1)</script>',
  '=cmd|calc',
  '%00',
  '%',
  '%zz',
  '%2e%2e%2f',
  'a"b{c="d"}',
  'null',
  'true',
  'NaN',
  '0',
  '-1',
  '9007199254740993',
];

/** Names that are there, so that requests get behind the first checks. */
const KNOWN = [
  'acme',
  'globex',
  'alice',
  'bob',
  'user_alice',
  'developer',
  'anthropic/claude-sonnet-4-5',
  't1',
  't2',
  't3',
];

const NUMBERS = [0, -0, 1, -1, 0.5, 1e-7, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 63, 1e300, -1e300];

export const hostileName = (dice: Dice): string => dice.one(NAMES);

export const someName = (dice: Dice): string => (dice.chance(0.75) ? dice.one(KNOWN) : hostileName(dice));

/** A value of any type, up to three levels deep. */
export const hostileValue = (dice: Dice): unknown => nested(dice, 0);

function nested(dice: Dice, depth: number): unknown {
  switch (dice.below(depth > 2 ? 5 : 7)) {
    case 0:
      return hostileName(dice);
    case 1:
      return dice.one(NUMBERS);
    case 2:
      return dice.chance(0.5);
    case 3:
      return null;
    case 4:
      return [];
    case 5:
      return Array.from({ length: dice.below(4) }, () => nested(dice, depth + 1));
    default: {
      const members = Array.from({ length: dice.below(4) }, () => [hostileName(dice), nested(dice, depth + 1)]);
      // Unlike an assignment, makes `__proto__` a member that JSON.stringify writes.
      return Object.fromEntries(members);
    }
  }
}
