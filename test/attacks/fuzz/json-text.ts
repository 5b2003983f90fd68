import type { Dice } from './dice.ts';

type Mutation = (text: string, dice: Dice) => string | Buffer;

const at = (text: string, dice: Dice) => dice.below(text.length + 1);

/** What JSON.stringify never writes, and what is no JSON at all. */
const MUTATIONS: Mutation[] = [
  (text, dice) => text.slice(0, at(text, dice)),
  (text) => `\ufeff${text}`,
  (text) => `${text}${text}`,
  (text) => text.replace('{', '{"__proto__":{"polluted":true},'),
  (text) => text.replace('{', '{"constructor":{"prototype":{"polluted":true}},'),
  (text) => text.replace('{', '{"tenant_id":"acme","tenant_id":"globex",'),
  (text) => text.replace(/\d+/, '1e400'),
  (text) => text.replace(/\d+/, '-0'),
  (text) => text.replace(/\d+/, '9007199254740993'),
  (text) => text.replace(/\d+/, `0.${'1'.repeat(40)}`),
  (text) => text.replace(/\d+/, 'NaN'),
  (text) => text.replace(/"[^"]*"/, '"\\ud800"'),
  (text) => text.replace(/"[^"]*"/, '"\\u0000"'),
  (text) => text.replace(/"[^"]*"/, `"${'\\n'.repeat(2_000)}"`),
  (text, dice) => {
    const depth = dice.one([10, 255, 257, 5_000, 50_000]);
    return text.replace(/"[^"]*":/, (name) => `${name}${'['.repeat(depth)}${']'.repeat(depth)},"rest":`);
  },
  (text, dice) => {
    const bytes = Buffer.from(text);
    for (let i = dice.below(4) + 1; i > 0 && bytes.length > 0; i--) bytes[dice.below(bytes.length)] = dice.below(256);
    return bytes;
  },
  (_, dice) => dice.bytes(dice.below(200)),
  (text, dice) => Buffer.concat([Buffer.from(text), dice.bytes(3)]),
  (text) => Buffer.from(text, 'utf16le'),
  () => '',
  () => 'null',
  () => '[]',
  () => '"acme"',
  () => '[[[[',
];

/** A JSON text with something wrong in it. */
export const mutated = (text: string, dice: Dice): Buffer => Buffer.from(dice.one(MUTATIONS)(text, dice) as string);
