import { PassThrough } from 'node:stream';
import { expect, test, vi } from 'vitest';
import { createLog } from './log.ts';

const NAMES = [
  'a\r\n{"level":30,"msg":"forged"}',
  'a\n[12:00:00] INFO: forged',
  '\u001b[2J\u001b[31mred',
  '\u009b31mred',
  '\u0000\u0007\b\f\v\u007f',
  '\u2028\u2029',
  'C:\\u001b\\r',
  '\\',
];

/** What a log writes of each name, in a field, in a message and in an error. */
async function written(terminal: boolean): Promise<string[]> {
  const lines: string[] = [];
  const destination = new PassThrough({ encoding: 'utf8' }).on('data', (text) => lines.push(text));
  const log = createLog('info', { terminal, destination });
  for (const name of NAMES) {
    log.info({ name, nested: { [name]: [name] } }, 'a name');
    log.info(`named ${name}`);
    log.error({ err: new Error(name) }, 'failed');
  }
  await vi.waitFor(() => expect(lines.join('').match(/failed/g)).toHaveLength(NAMES.length));
  return lines;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: none may be there
const CONTROL = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]/;

test('a line is one JSON object that says what was said, and holds no control character', async () => {
  const lines = await written(false);
  expect(lines).toHaveLength(3 * NAMES.length);
  for (const [index, line] of lines.entries()) {
    expect(line).toMatch(/^[^\n]*\n$/);
    expect(line).not.toMatch(CONTROL);
    const name = NAMES[Math.floor(index / 3)] as string;
    expect(JSON.parse(line)).toMatchObject(
      [{ name, nested: { [name]: [name] } }, { msg: `named ${name}` }, { err: { message: name } }][index % 3] as object,
    );
  }
});

test('on a terminal no name moves the cursor, changes a colour or begins a line', async () => {
  const text = (await written(true)).join('');
  expect(text).not.toMatch(CONTROL);
  expect(text).not.toMatch(/^\[12:00:00\]/m);
  expect(text).toContain('\\u001b[2J');
  // A stack has lines of its own, behind the name of the error.
  expect(text).toMatch(/\n {4,}at /);
});
