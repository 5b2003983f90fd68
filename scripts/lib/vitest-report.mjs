/**
 * @typedef {{ passed: number, failed: number, skipped: number }} Counts
 *
 * @typedef {object} VitestReport of vitest's JSON reporter
 * @property {{ name: string, status: string, assertionResults: { status: string, fullName: string }[] }[]} testResults one for
 *   each test file, `name` being its path
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

/**
 * The files that failed, each with the names of its tests that did: none where it was the file itself.
 * @param {VitestReport | undefined} report
 * @returns {{ file: string, tests: string[] }[]}
 */
export function failedFiles(report) {
  const files = (report?.testResults ?? []).map(({ assertionResults, name, status }) => {
    const failed = assertionResults.filter((test) => test.status === 'failed');
    return { file: name, failed: status === 'failed' || failed.length > 0, tests: failed.map((test) => test.fullName) };
  });
  return files.filter(({ failed }) => failed).map(({ file, tests }) => ({ file, tests }));
}

/**
 * The first report with what a second run of some of its files says of them.
 * @param {VitestReport} first
 * @param {VitestReport} second
 * @returns {VitestReport}
 */
export function withSecondRun(first, second) {
  const again = new Map(second.testResults.map((result) => [result.name, result]));
  return { testResults: first.testResults.map((result) => again.get(result.name) ?? result) };
}

/** @param {Counts} counts */
export function countsLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`;
}
