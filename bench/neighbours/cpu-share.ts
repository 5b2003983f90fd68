import { access, mkdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withChildren } from './process-meter.ts';
import { LeftOut } from './system.ts';

const ROOT = '/sys/fs/cgroup';
/** With 10 ms a decision took up to twice as much CPU: whoever waits for its next share finds the caches cold. */
const PERIOD_US = 50_000;

/** Gives processes, and all that they have started, so much of the machine's cores together. Gives back what undoes it once they have ended. */
export async function shareOfCores(pids: readonly number[], cores: number): Promise<() => Promise<void>> {
  const quota = Math.round(cores * PERIOD_US);
  const name = `rating-bench-${process.pid}-${pids[0]}`;
  const unified = await isUnified();
  const folder = unified ? join(ROOT, name) : join(ROOT, 'cpu', name);
  try {
    if (unified) {
      await writeFile(join(ROOT, 'cgroup.subtree_control'), '+cpu');
      await mkdir(folder);
      await writeFile(join(folder, 'cpu.max'), `${quota} ${PERIOD_US}`);
    } else {
      await mkdir(folder);
      await writeFile(join(folder, 'cpu.cfs_period_us'), String(PERIOD_US));
      await writeFile(join(folder, 'cpu.cfs_quota_us'), String(quota));
    }
    for (const pid of await withChildren(pids)) await writeFile(join(folder, 'cgroup.procs'), String(pid));
  } catch (error) {
    throw new LeftOut(`control groups of the CPU cannot be made here: ${(error as Error).message}`);
  }
  return () => rmdir(folder);
}

const isUnified = () =>
  access(join(ROOT, 'cgroup.controllers')).then(
    () => true,
    () => false,
  );
