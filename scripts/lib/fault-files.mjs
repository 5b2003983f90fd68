import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { projectRoot } from './root.mjs';

/** What stands beside the rows of the matrix: the driver, the mutants, the soak, and the attacks. */
const FOLDERS = ['test/faults', 'test/attacks'];

/**
 * What `npm run test:faults` runs: those folders, and every test that `docs/fault-matrix.md` names. A suite is run by the tests of its
 * folder.
 */
export async function faultFiles() {
  const page = await readFile(join(projectRoot, 'docs/fault-matrix.md'), 'utf8');
  const named = [...page.matchAll(/`([\w/.-]+\.(?:test|suite)\.ts)`/g)].map(([, file = '']) =>
    file.endsWith('.suite.ts') ? dirname(file) : file,
  );
  const others = named.filter((file) => !FOLDERS.some((folder) => file.startsWith(`${folder}/`)));
  return [...FOLDERS, ...new Set(others)];
}
