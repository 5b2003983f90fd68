import { readFile } from 'node:fs/promises';
import type { Program } from './program.ts';

/** Resident memory of a program in bytes; undefined while it is down. */
export async function residentBytes({ pid }: Program): Promise<number | undefined> {
  if (pid === undefined) return undefined;
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}
