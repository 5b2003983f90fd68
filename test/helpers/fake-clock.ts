import { execFile } from 'node:child_process';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { bringFaketime } from './bring.ts';
import { tempDir } from './temp-dir.ts';

/** The wall clock of one process, as far from the machine's as a test says, also while it runs. */
export interface FakeClock {
  /** What the process must be started with. */
  env: Record<string, string>;
  set(aheadS: number): Promise<void>;
}

/** Clocks that only go forward, by which waits are measured, stay as they are. */
export async function fakeClock(aheadS = 0): Promise<FakeClock> {
  const preload = await librariesFor(await bringFaketime());
  const file = join(await tempDir('clock'), 'ahead');
  const set = async (seconds: number) => {
    await writeFile(`${file}.new`, `${seconds < 0 ? '' : '+'}${seconds}`);
    await rename(`${file}.new`, file);
  };
  await set(aheadS);
  return {
    env: {
      LD_PRELOAD: preload,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    },
    set,
  };
}

/**
 * With it the C library's own allocator: Redis's jemalloc asks for the time when it is asked for its first memory, which
 * libfaketime needs to be able to tell it ("Unexpected recursive calls").
 */
async function librariesFor(library: string): Promise<string> {
  const { stdout } = await promisify(execFile)('ldd', [library]);
  return [library, /libc\.so\.6 => (\S+)/.exec(stdout)?.[1]].filter(Boolean).join(' ');
}
