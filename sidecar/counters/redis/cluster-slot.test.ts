import fc from 'fast-check';
import { createClient } from 'redis';
import { expect, onTestFinished, test } from 'vitest';
import { BRING_TIMEOUT_MS } from '../../../test/helpers/bring.ts';
import { startRedis } from '../../../test/helpers/redis-server.ts';
import { slotOf } from './cluster-slot.ts';

test('a key lies in the slot that the server names', { timeout: BRING_TIMEOUT_MS }, async () => {
  const { url } = await startRedis({ appendonly: false, args: ['--cluster-enabled', 'yes'] });
  const client = await createClient({ url }).connect();
  onTestFinished(() => client.destroy());
  const named = async (key: string) => Number(await client.sendCommand(['CLUSTER', 'KEYSLOT', key]));
  const odd = [
    '',
    '{',
    '}',
    '{}',
    '{}{a}',
    'a{b}c',
    'a{b}{c}',
    'a{{b}}c',
    'a}b{c}',
    'ocr:{p7}:open',
    'ä{ö}ü',
    '{😀}\0',
  ];
  for (const key of odd) expect([key, slotOf(key)]).toEqual([key, await named(key)]);
  const part = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 20 }), fc.constantFrom('{', '}', '{}', ':'));
  const key = fc.array(part, { maxLength: 6 }).map((parts) => parts.join(''));
  await fc.assert(
    fc.asyncProperty(key, async (each) => {
      expect(slotOf(each)).toBe(await named(each));
    }),
    { numRuns: 1_000 },
  );
});
