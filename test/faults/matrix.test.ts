import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { loadScript } from '../setup/scripts.ts';

const { faultFiles } = await loadScript('lib/fault-files.mjs');

const ROWS = 60;

interface Row {
  number: number;
  happens: string;
  /** A file, and the title of a test or of a group of tests in it. */
  tests: { file: string; title: string }[];
  /** Why there is no test, where the last column says it. */
  reason: string | undefined;
}

/** A row's last column: `` `file`: "title"; "title"; `file`: "title" ``, or "none: " and why. */
function rowOf(line: string): Row {
  const [, number, , happens = '', shown = ''] = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
  const tests = [...shown.matchAll(/`([^`]+)`:([^`]*)/g)].flatMap(([, file = '', titles = '']) =>
    [...titles.matchAll(/"([^"]+)"/g)].map(([, title = '']) => ({ file, title })),
  );
  return { number: Number(number), happens, tests, reason: /^none: (.{40,})/.exec(shown)?.[1] };
}

const page = await readFile(join(packageRoot, 'docs/fault-matrix.md'), 'utf8');
const rows = page
  .split('\n')
  .filter((line) => /^\| \d+ \|/.test(line))
  .map(rowOf);

test('every fault is there, in order, with what happens', () => {
  expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: ROWS }, (_, index) => index + 1));
  for (const { happens, number } of rows) expect([number, happens.length > 10]).toEqual([number, true]);
});

test.each(rows)('$number is shown by tests that there are, or says why by none', async ({ reason, tests }) => {
  if (reason === undefined) expect(tests).not.toEqual([]);
  for (const { file, title } of tests) {
    const text = await readFile(join(packageRoot, file), 'utf8');
    const begins = [`'${title}'`, `"${title}"`, `} ${title}\``].some((quoted) => text.includes(quoted));
    expect([file, title, begins]).toEqual([file, title, true]);
    expect(text).toMatch(/\b(test|describe)\b/);
  }
});

test('`npm run test:faults` runs all of them', async () => {
  const run = await faultFiles();
  const files = new Set(rows.flatMap(({ tests }) => tests.map(({ file }) => file)));
  expect([...files].filter((file) => !run.some((one) => file === one || file.startsWith(`${one}/`)))).toEqual([]);
});
