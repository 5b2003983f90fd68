import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

export interface ChildOf {
  pid: number;
  command: string;
}

/** The living direct children of a process: from /proc on Linux, where `ps` need not be installed, else from `ps`. */
export function childrenOf(parent: number): Promise<ChildOf[]> {
  return process.platform === 'linux' ? fromProc(parent) : fromPs(parent);
}

async function fromProc(parent: number): Promise<ChildOf[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(pids.map((pid) => readProcess(Number(pid))));
  return all.filter((found) => found?.parent === parent && found.state !== 'Z').map((found) => found as ChildOf);
}

/** Undefined if it has ended meanwhile. */
async function readProcess(pid: number): Promise<(ChildOf & { parent: number; state: string }) | undefined> {
  try {
    const [stat, command] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
    ]);
    // The program's name is in brackets and may itself hold spaces and brackets.
    const [state = '', parent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { pid, command: command.replaceAll('\0', ' ').trim(), parent: Number(parent), state };
  } catch {
    return undefined;
  }
}

async function fromPs(parent: number): Promise<ChildOf[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=', '-o', 'ppid=', '-o', 'args=']);
  const rows = stdout.matchAll(/^\s*(\d+)\s+(\d+)\s+(.*)$/gm);
  return [...rows]
    .filter(([, , ppid, command]) => Number(ppid) === parent && !command?.startsWith('ps -A'))
    .map(([, pid, , command]) => ({ pid: Number(pid), command: command ?? '' }));
}
