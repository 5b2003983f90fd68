import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../lib/root.mjs';
import { run } from '../lib/run.mjs';

/** Of the project; a folder may have its own. */
const CONFIG = join(projectRoot, 'policies', '.regal', 'config.yaml');

/** @typedef {{ category: string, title: string, description: string, location: { file: string, row: number, col: number } }} Violation */

/**
 * @param {string} regal
 * @param {string} sources a folder
 * @param {string} cwd where it is
 * @returns {Promise<string[]>} what Regal objects to, each with file and line
 */
export async function lint(regal, sources, cwd) {
  const own = ['.regal/config.yaml', '.regal.yaml'].some((file) => existsSync(join(cwd, sources, file)));
  const config = own ? [] : ['--config-file', CONFIG];
  const { stdout, problem } = await run(regal, ['lint', '--format', 'json', ...config, sources], { cwd });
  const violations = read(stdout);
  if (!violations) return [`Regal failed: ${problem || 'its answer is no report'}`];
  return violations.map(({ category, description, location: { col, file, row }, title }) => {
    return `${file}:${row}:${col}: Regal, ${category}/${title}: ${description}`;
  });
}

/**
 * @param {string} stdout
 * @returns {Violation[] | undefined}
 */
function read(stdout) {
  try {
    return JSON.parse(stdout).violations;
  } catch {
    return undefined;
  }
}
