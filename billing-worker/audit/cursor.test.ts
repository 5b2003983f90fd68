import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readCursor, writeCursor } from './cursor.ts';

test('what is written is read again, whatever is in the id', () => {
  const id = fc.string({ minLength: 1, unit: 'grapheme' }).filter((text) => !text.includes('\u0000'));
  const at = fc.integer({ min: 0, max: Date.parse('9999-12-31T23:59:59.999Z') });
  fc.assert(
    fc.property(fc.record({ at, id }), (cursor) => {
      expect(readCursor(writeCursor(cursor))).toEqual(cursor);
    }),
  );
});

test.each([
  '',
  'x',
  'MTpp=',
  'OTk5OTk5OTk5OTk5OTk5OmE',
  writeCursor({ at: 1, id: '' }),
  writeCursor({ at: 1, id: 'a\u0000' }),
])('%j is none', (text) => expect(readCursor(text)).toBeUndefined());
