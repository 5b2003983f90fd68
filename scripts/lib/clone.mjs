import { copyFile, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { projectRoot } from './root.mjs';
import { mustRun } from './run.mjs';

/**
 * Clones the project, with what is not yet committed on top.
 * @param {string} folder which must not exist
 */
export async function cloneInto(folder) {
  await mustRun('git', ['clone', '--quiet', projectRoot, folder]);
  const deleted = new Set(await listFiles('--deleted'));
  for (const file of deleted) await rm(join(folder, file), { force: true });
  for (const file of await listFiles('--modified', '--others')) {
    if (deleted.has(file)) continue;
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await copyFile(join(projectRoot, file), join(folder, file));
  }
}

/**
 * The project's files, without what git ignores.
 * @param {string[]} what options and patterns of `git ls-files`
 */
export async function listFiles(...what) {
  const { stdout } = await mustRun('git', ['ls-files', '-z', '--exclude-standard', ...what], { cwd: projectRoot });
  return stdout.split('\0').filter(Boolean);
}
