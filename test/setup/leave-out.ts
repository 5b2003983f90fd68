import { type RunnerTestCase, type RunnerTestSuite, TestRunner } from 'vitest';

let file: Readonly<RunnerTestSuite> | undefined;

/** Told by the set-up of each test file. */
export function rememberFile(suite: Readonly<RunnerTestSuite>): void {
  file = suite;
}

/**
 * Leaves out the test that is running; called from a `beforeAll`, all tests of its `describe` or file. The tests are
 * reported as skipped, with the reason on standard error.
 */
export function leaveOut(reason: string): never {
  console.warn(`left out: ${reason}`);
  const running = TestRunner.getCurrentTest();
  if (running) return running.context.skip(reason);
  throw skipError(reason);
}

/** Vitest gives its own skip error to tests only; a hook gets one by asking any test of the file, which stays as it was. */
function skipError(reason: string): unknown {
  const test = file && firstTest(file);
  if (!test) return new Error(reason);
  const result = test.result;
  try {
    return test.context.skip(reason);
  } catch (error) {
    if (result) test.result = result;
    else delete test.result;
    return error;
  }
}

function firstTest(suite: Readonly<RunnerTestSuite>): RunnerTestCase | undefined {
  for (const task of suite.tasks) {
    const found = task.type === 'test' ? task : firstTest(task);
    if (found) return found;
  }
  return undefined;
}
