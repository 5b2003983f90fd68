import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { runFixture } from '../../test/setup/nested-run.ts';
import { type Counts, loadScript } from '../../test/setup/scripts.ts';

const { count, countsLine } = await loadScript('lib/vitest-report.mjs');

/** Of real runs, so that another report format of vitest is noticed. */
test.for<[string, Counts]>([
  ['mixed', { passed: 2, failed: 1, skipped: 2 }],
  ['cannot-load', { passed: 0, failed: 1, skipped: 0 }],
  ['fails-outside', { passed: 1, failed: 1, skipped: 0 }],
  ['leaves-child', { passed: 1, failed: 1, skipped: 0 }],
])('counts the run of %s', async ([fixture, counts]) => {
  const { child, results } = await runFixture(fixture);
  const { code } = await child.exited;
  expect(count(JSON.parse(await readFile(results, 'utf8')), code === 0)).toEqual(counts);
});

test('a run that wrote no report has failed', () => {
  expect(count(undefined, false)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test('the line names what was left out only if something was', () => {
  expect(countsLine({ passed: 3, failed: 0, skipped: 0 })).toBe('3 passed, 0 failed');
  expect(countsLine({ passed: 3, failed: 1, skipped: 2 })).toBe('3 passed, 1 failed, 2 skipped');
});
