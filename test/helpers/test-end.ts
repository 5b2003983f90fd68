import { onTestFinished, TestRunner } from 'vitest';
import { atFileEnd } from '../setup/file-end.ts';

/** Does this when the running test is over; called outside of one, in a `beforeAll`, when the test file is. */
export function atTestEnd(work: () => Promise<unknown> | unknown): void {
  if (TestRunner.getCurrentTest()) onTestFinished(async () => void (await work()));
  else atFileEnd(work);
}
