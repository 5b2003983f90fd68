import { join, resolve } from 'node:path';
import { run } from '../lib/run.mjs';

/**
 * Asked from inside the folder, for opa writes the name of one outside twice into its report.
 * @param {Pick<import('./folder-checks.mjs').Checked, 'opa' | 'cwd' | 'sources'>} checked whose tests pass
 * @param {string[]} [filter] options that choose tests
 * @returns {Promise<string[]>} each line that no test runs, as `file:line`
 */
export async function uncoveredLines({ cwd, opa, sources }, filter = []) {
  const args = ['test', '--bundle', '.', '--coverage', '--format', 'json', ...filter];
  const { stdout } = await run(opa, args, { cwd: resolve(cwd, sources) });
  /** @type {{ files: Record<string, { not_covered?: { start: { row: number } }[] }> }} */
  const { files } = JSON.parse(stdout);
  const lines = Object.entries(files).flatMap(([file, { not_covered = [] }]) =>
    not_covered.map(({ start }) => `${join(sources, file)}:${start.row}`),
  );
  return [...new Set(lines)];
}
