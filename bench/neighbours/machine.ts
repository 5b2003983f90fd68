import { cpus, release, totalmem } from 'node:os';
import { exec } from './exec.ts';

export interface Machine {
  cpu: string;
  cores: number;
  memory_gib: number;
  kernel: string;
  /** The version of what ran the systems. */
  node: string;
}

export const machine = async (node: string): Promise<Machine> => ({
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memory_gib: Math.round(totalmem() / 2 ** 30),
  kernel: release(),
  node: (await exec(node, ['--version'], 10_000)).trim(),
});

/** The commit that is checked out, with a + behind it where files differ from it. */
export async function commit(root: string): Promise<string> {
  const git = (...args: string[]) => exec('git', ['-C', root, ...args], 10_000);
  try {
    const changed = await git('status', '--porcelain', '--untracked-files=no');
    return `${(await git('rev-parse', '--short=10', 'HEAD')).trim()}${changed ? '+' : ''}`;
  } catch {
    return 'unknown';
  }
}
