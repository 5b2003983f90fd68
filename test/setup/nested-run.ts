import { join, resolve } from 'node:path';
import { Child } from '../helpers/child.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const projectRoot = resolve(import.meta.dirname, '../..');

export interface NestedRun {
  child: Child;
  /** Where it makes its temporary folders. */
  temp: string;
  /** The file that its JSON reporter writes. */
  results: string;
}

/** Runs one of the fixtures in a vitest of its own. */
export async function runFixture(fixture: string, env: Record<string, string> = {}): Promise<NestedRun> {
  const temp = await tempDir('nested');
  const results = join(temp, 'results.json');
  const config = ['--config', 'test/setup/fixtures/vitest.config.ts'];
  const report = ['--reporter=default', '--reporter=json', `--outputFile.json=${results}`];
  const child = new Child(process.execPath, {
    args: ['node_modules/vitest/vitest.mjs', 'run', ...config, ...report, `/${fixture}.fixture.ts`],
    env: { TMPDIR: temp, NO_COLOR: '1', ...env },
    cwd: projectRoot,
  });
  return { child, temp, results };
}
