import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { testRun } from '../setup/test-run.ts';
import { atTestEnd } from './test-end.ts';

/** A new folder, removed when the test is over, at the latest with the run. */
export async function tempDir(name = 'dir'): Promise<string> {
  const dir = await mkdtemp(join(testRun().dir, `${name}-`));
  atTestEnd(() => rm(dir, { recursive: true, force: true }));
  return dir;
}
