import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RespSplitter } from './resp-splitter.ts';

const encode = (command: string[]) =>
  Buffer.from(`*${command.length}\r\n${command.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`);

test('finds the same commands however the bytes are cut, and loses none of them', () => {
  const commands = fc.array(fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1, maxLength: 4 }), {
    maxLength: 6,
  });
  fc.assert(
    fc.property(commands, fc.array(fc.nat(200)), (sent, cuts) => {
      const bytes = Buffer.concat(sent.map(encode));
      const ends = [...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length].sort((a, b) => a - b);
      const splitter = new RespSplitter();
      const pieces = ends.flatMap((end, index) => splitter.push(bytes.subarray(ends[index - 1] ?? 0, end)));
      expect(pieces.map((piece) => piece.command)).toEqual(sent);
      expect(Buffer.concat(pieces.map((piece) => piece.bytes))).toEqual(bytes);
    }),
  );
});

test('bytes of another protocol pass as they come', () => {
  const splitter = new RespSplitter();
  const startup = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
  expect(splitter.push(startup)).toEqual([{ bytes: startup }]);
  expect(splitter.push(Buffer.from('*1\r\n'))).toEqual([{ bytes: Buffer.from('*1\r\n') }]);
});
