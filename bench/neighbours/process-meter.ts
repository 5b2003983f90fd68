import { readdir, readFile } from 'node:fs/promises';

/** Of Linux: clock ticks are 10 ms. */
const TICK_MS = 10;

/** CPU time of processes and all that they have started, in milliseconds, since they were. */
export async function cpuMs(pids: readonly number[]): Promise<number> {
  const fields = await Promise.all((await withChildren(pids)).map(statOf));
  // utime, stime, and those of children that have ended: a Redis that rewrites its file does it in one.
  const ticks = fields.flatMap((stat) => stat.slice(11, 15).map(Number));
  return ticks.reduce((sum, each) => sum + each, 0) * TICK_MS;
}

/** Memory of processes and all that they have started, in MiB: VmRSS. */
export async function residentMiB(pids: readonly number[]): Promise<number> {
  const texts = await Promise.all(
    (await withChildren(pids)).map((pid) => readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')),
  );
  return texts.reduce((sum, text) => sum + Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? 0), 0) / 1024;
}

/** CPU time of children of this process that have ended, in milliseconds. */
export async function endedChildrenCpuMs(): Promise<number> {
  const [user, system] = (await statOf(process.pid)).slice(13, 15).map(Number);
  return ((user ?? 0) + (system ?? 0)) * TICK_MS;
}

/** CPU time of the whole machine, in milliseconds, that was used since it was started. */
export async function machineCpuMs(): Promise<number> {
  const text = await readFile('/proc/stat', 'utf8');
  const [user, nice, system, , , irq, softirq, steal] = (/^cpu +(.*)$/m.exec(text)?.[1] ?? '').split(' ').map(Number);
  return [user, nice, system, irq, softirq, steal].reduce<number>((sum, each) => sum + (each ?? 0), 0) * TICK_MS;
}

/** What stands behind the name in /proc/<pid>/stat; nothing of a process that is gone. */
async function statOf(pid: number): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return text
    .slice(text.lastIndexOf(')') + 2)
    .trim()
    .split(' ');
}

/** The processes, and all that they have started. */
export async function withChildren(pids: readonly number[]): Promise<number[]> {
  const below = await Promise.all(pids.map(async (pid) => withChildren(await childrenOf(pid))));
  return [...pids, ...below.flat()];
}

async function childrenOf(pid: number): Promise<number[]> {
  const tasks = await readdir(`/proc/${pid}/task`).catch(() => []);
  const texts = await Promise.all(
    tasks.map((task) => readFile(`/proc/${pid}/task/${task}/children`, 'utf8').catch(() => '')),
  );
  return texts.flatMap((text) => text.split(' ').filter(Boolean).map(Number));
}
