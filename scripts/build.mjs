import { join } from 'node:path';
import { withLock } from './lib/lock.mjs';
import { isMain } from './lib/main.mjs';
import { projectRoot } from './lib/root.mjs';
import { run } from './lib/run.mjs';

/**
 * Compiles the sources into `dist/`. The compiler is incremental: with nothing to do it takes half a second and writes
 * nothing, so it is always asked. Processes that ask at once take turns.
 * @param {{ root?: string }} [options]
 * @throws {Error} with the compiler's messages; what could be compiled is in `dist/` all the same
 */
export async function ensureBuilt({ root = projectRoot } = {}) {
  await compile(root, 'tsconfig.build.json');
}

/**
 * Compiles OpenClaw's plugin into its own `dist/`, which is what OpenClaw loads.
 * @param {{ root?: string }} [options]
 */
export async function ensurePluginBuilt({ root = projectRoot } = {}) {
  await compile(root, 'openclaw-plugin');
}

/**
 * @param {string} root
 * @param {string} project
 */
async function compile(root, project) {
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  await withLock(join(root, '.cache', 'build.lock'), async () => {
    const outcome = await run(process.execPath, [compiler, '-p', project], { cwd: root });
    if (!outcome.ok) throw new Error(`the sources do not compile:\n${outcome.stdout.trim() || outcome.problem}`);
  });
}

if (isMain(import.meta.url)) {
  await ensureBuilt();
  await ensurePluginBuilt();
}
