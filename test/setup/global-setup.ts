import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { stopSharedPostgres } from '../helpers/shared-postgres.ts';
import { ProcessRegistry } from './registry.ts';
import { loadScript } from './scripts.ts';

/** Builds `dist/`, which end-to-end tests and worker threads run, and readies what test files share. Starts no server. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const leaveOut = !process.env.CI;
  await build(leaveOut);
  project.onTestsRerun(() => build(leaveOut));
  const dir = await mkdtemp(join(tmpdir(), 'openclaw-rating-test-'));
  await chmod(dir, 0o711);
  new ProcessRegistry(dir);
  const reaper = startReaper(dir);
  const cacheDir = fileURLToPath(new URL('../../.cache', import.meta.url));
  project.provide('testRun', { dir, mainPid: process.pid, cacheDir, leaveOut });
  return async () => {
    await stopSharedPostgres(dir);
    await endReaper(reaper);
  };
}

/** While one works, a type error in one place must not keep the tests of another from running; in CI it does. */
async function build(tolerant: boolean): Promise<void> {
  const { ensureBuilt } = await loadScript('build.mjs');
  try {
    await ensureBuilt();
  } catch (error) {
    if (!tolerant) throw error;
    console.warn(error instanceof Error ? error.message : error);
  }
}

function startReaper(runDir: string): ChildProcess {
  const script = fileURLToPath(new URL('./reaper.mjs', import.meta.url));
  const reaper = spawn(process.execPath, [script, runDir, String(process.pid)], { detached: true, stdio: 'ignore' });
  reaper.unref();
  return reaper;
}

async function endReaper(reaper: ChildProcess): Promise<void> {
  if (reaper.exitCode !== null || reaper.signalCode !== null) throw new Error('the reaper of this run was killed');
  reaper.ref();
  const exited = once(reaper, 'exit');
  reaper.kill('SIGTERM');
  await exited;
}
