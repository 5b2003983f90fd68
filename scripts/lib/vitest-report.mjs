/**
 * @typedef {{ passed: number, failed: number, skipped: number }} Counts
 *
 * @typedef {object} VitestReport of vitest's JSON reporter
 * @property {{ status: string, assertionResults: { status: string }[] }[]} testResults one for each test file
 */

/**
 * How many tests passed, failed and were left out. What failed outside of a test counts as one failed test: each file
 * that could not be loaded or whose hooks failed, and a run that failed though no test did.
 * @param {VitestReport | undefined} report undefined: vitest did not get as far as writing one
 * @param {boolean} ok whether vitest ended with 0
 * @returns {Counts}
 */
export function count(report, ok) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { status, assertionResults } of report?.testResults ?? []) {
    const failures = assertionResults.filter((test) => test.status === 'failed').length;
    const passes = assertionResults.filter((test) => test.status === 'passed').length;
    counts.passed += passes;
    counts.failed += status === 'failed' ? Math.max(failures, 1) : failures;
    counts.skipped += assertionResults.length - passes - failures;
  }
  if (!ok && counts.failed === 0) counts.failed = 1;
  return counts;
}

/** @param {Counts} counts */
export function countsLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`;
}
