import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineSplitter, MAX_LINE_BYTES } from './line-splitter.ts';

test('lines are the same in whatever pieces their bytes come', () => {
  const lines = fc.array(fc.string({ unit: 'grapheme', maxLength: 5 }).map((text) => text.replaceAll('\n', ' ')));
  fc.assert(
    fc.property(lines, fc.string({ maxLength: 3 }), fc.array(fc.nat({ max: 9 })), (whole, rest, cuts) => {
      const last = rest.replaceAll('\n', '');
      const bytes = Buffer.from([...whole, last].join('\n'));
      const splitter = new LineSplitter();
      const found: string[] = [];
      for (let start = 0, index = 0; start < bytes.length; index++) {
        const end = start + 1 + (cuts[index % cuts.length] ?? 0);
        for (const line of splitter.push(bytes.subarray(start, end))) found.push(String(line));
        start = end;
      }
      expect(found).toEqual(whole);
      expect(String(splitter.rest)).toBe(last);
    }),
  );
});

test('a line that is too long is told as such, is not held, and the next one is read', () => {
  const splitter = new LineSplitter();
  const long = Buffer.alloc(MAX_LINE_BYTES + 1, 'x');
  expect([...splitter.push(long)]).toEqual([]);
  expect(splitter.rest).toHaveLength(0);
  expect([...splitter.push(Buffer.from('y\nnext\nhalf'))].map((line) => line?.toString())).toEqual([undefined, 'next']);
  expect(String(splitter.rest)).toBe('half');
});
