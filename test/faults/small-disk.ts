import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { atTestEnd } from '../helpers/test-end.ts';
import { leaveOut } from '../setup/leave-out.ts';
import { testRun } from '../setup/test-run.ts';

/** Of `mount`: one that is not root, a container, or a system without it. */
const NOT_ALLOWED = /must be superuser|permission denied|not permitted|only root|ENOENT/i;

export interface SmallDisk {
  folder: string;
  /** Leaves not a byte. */
  fill(): Promise<void>;
  /** Takes away what filled it. */
  free(): Promise<void>;
}

/** A file system of its own. Who may not make one leaves the test out. Unmounted with the test. */
export async function smallDisk(megabytes: number, owner?: { uid: number; gid: number }): Promise<SmallDisk> {
  const folder = await mkdtemp(join(testRun().dir, 'disk-'));
  const options = [`size=${megabytes}m`, 'mode=0700', ...(owner ? [`uid=${owner.uid}`, `gid=${owner.gid}`] : [])];
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options.join(','), 'tmpfs', folder], { stdio: 'pipe' });
  } catch (error) {
    await rm(folder, { recursive: true });
    const { message } = error as Error;
    if (!NOT_ALLOWED.test(message)) throw error;
    return leaveOut(`a file system that gets full cannot be mounted here: ${message.trim()}`);
  }
  atTestEnd(async () => {
    execFileSync('umount', [folder]);
    await rm(folder, { recursive: true });
  });
  const filler = join(folder, 'filler');
  return {
    folder,
    fill: async () => {
      const tooMuch = Buffer.alloc((megabytes + 1) * 1024 ** 2);
      await writeFile(filler, tooMuch).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOSPC') throw error;
      });
    },
    free: () => rm(filler),
  };
}
