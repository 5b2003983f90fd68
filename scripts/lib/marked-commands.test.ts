import { expect, test } from 'vitest';
import { loadScript } from '../../test/setup/scripts.ts';

const { markedCommands } = await loadScript('lib/marked-commands.mjs');

const block = (marker: string, text = 'npm start') => `Some text.\n\n${marker}\n\`\`\`sh\n${text}\n\`\`\`\n`;

test('finds the marked blocks with what is said of them, and no other blocks', () => {
  const page = [
    block('<!-- ci: run -->', 'one\ntwo'),
    block('not marked'),
    block('<!-- ci: run background expect="http://" timeout=90 -->'),
    block('<!-- ci: run exit=3 expect=done -->'),
  ].join('\n');
  expect(markedCommands(page, 'README.md')).toEqual([
    { line: 4, text: 'one\ntwo', exit: 0, timeout: 60, background: false },
    { line: 19, text: 'npm start', exit: 0, timeout: 90, background: true, expect: 'http://' },
    { line: 26, text: 'npm start', exit: 3, timeout: 60, background: false, expect: 'done' },
  ]);
});

test.for<[string, string]>([
  ['<!-- ci: ran -->', 'README.md:3: "ci: ran" does not begin with "run"'],
  ['<!-- ci: run times=3 -->', 'README.md:3: "times=3" is none of'],
  ['<!-- ci: run timeout=soon -->', 'README.md:3: "timeout=soon" is none of'],
  ['<!-- ci: run "text" -->', 'README.md:3: cannot read'],
  ['<!-- ci: run background -->', 'README.md:3: "background" needs an expect'],
])('refuses %s', ([marker, message]) => {
  expect(() => markedCommands(block(marker), 'README.md')).toThrow(message);
});

test.for(['```js\n1\n```\n', '', '```sh\nnever closed\n'])(
  'refuses a marker that is not followed by a block of sh',
  (rest) => {
    expect(() => markedCommands(`<!-- ci: run -->\n${rest}`, 'a.md')).toThrow('a.md:1: a marker without a block of sh');
  },
);
