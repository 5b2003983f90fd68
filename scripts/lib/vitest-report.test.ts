import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { runFixture } from '../../test/setup/nested-run.ts';
import { type Counts, loadScript } from '../../test/setup/scripts.ts';

const { count, countsLine, failedFiles, withSecondRun } = await loadScript('lib/vitest-report.mjs');

/** Of real runs, so that another report format of vitest is noticed. */
test.for<[string, Counts, string[] | undefined]>([
  ['mixed', { passed: 2, failed: 1, skipped: 2 }, ['fails']],
  ['cannot-load', { passed: 0, failed: 1, skipped: 0 }, []],
  // It failed in no file: nothing would be run again.
  ['fails-outside', { passed: 1, failed: 1, skipped: 0 }, undefined],
  ['leaves-child', { passed: 1, failed: 1, skipped: 0 }, []],
])('counts the run of %s, and names its file and what failed in it', async ([fixture, counts, failed]) => {
  const { child, results } = await runFixture(fixture);
  const { code } = await child.exited;
  const report = JSON.parse(await readFile(results, 'utf8'));
  expect(count(report, code === 0)).toEqual(counts);
  const [file, ...others] = failedFiles(report);
  expect(others).toEqual([]);
  expect(file?.tests).toEqual(failed);
  if (file) expect(file.file).toContain(`${fixture}.fixture.ts`);
});

test('a second run stands for its own files only', () => {
  const file = (name: string, ...states: string[]) => ({
    name,
    status: states.includes('failed') ? 'failed' : 'passed',
    assertionResults: states.map((status) => ({ status, fullName: status })),
  });
  const first = { testResults: [file('a', 'passed', 'failed'), file('b', 'passed')] };
  const again = (...states: string[]) => count(withSecondRun(first, { testResults: [file('a', ...states)] }), true);
  expect(again('passed', 'passed')).toEqual({ passed: 3, failed: 0, skipped: 0 });
  expect(again('failed', 'passed')).toEqual({ passed: 2, failed: 1, skipped: 0 });
});

test('a run that wrote no report has failed', () => {
  expect(count(undefined, false)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test('the line names what was left out only if something was', () => {
  expect(countsLine({ passed: 3, failed: 0, skipped: 0 })).toBe('3 passed, 0 failed');
  expect(countsLine({ passed: 3, failed: 1, skipped: 2 })).toBe('3 passed, 1 failed, 2 skipped');
});
