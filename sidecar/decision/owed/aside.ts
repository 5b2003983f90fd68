import { mkdir, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Owed } from '../../counters/contract.ts';
import { HEADER, owedLine } from './lines.ts';

/** What could not be charged is kept here, in `<DATA_DIR>/owed`, for a person to look at. None of it is read again. */
const ASIDE = 'aside';

/** Moves a whole file there. Gives its new path. */
export async function moveAside(root: string, path: string): Promise<string> {
  const target = join(await asideFolder(root), `${nameOf(path)}.foreign`);
  await rename(path, target);
  return target;
}

/** Copies the damaged lines of a file there. */
export async function copyAside(root: string, path: string, lines: Buffer[]): Promise<string> {
  const target = join(await asideFolder(root), `${nameOf(path)}.damaged`);
  await writeFile(target, `${lines.join('\n')}\n`, { mode: 0o600 });
  return target;
}

/** Writes there what the store refuses: one grant to a file, which can be put back as it is. */
export async function refusedAside(root: string, owed: Owed): Promise<string> {
  const target = join(await asideFolder(root), `${encodeURIComponent(owed.decisionId)}.refused`);
  await writeFile(target, Buffer.concat([Buffer.from(HEADER), owedLine(owed)]), { mode: 0o600 });
  return target;
}

async function asideFolder(root: string): Promise<string> {
  const folder = join(root, ASIDE);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** The process's folder and the file in it. */
const nameOf = (path: string) => `${basename(dirname(path))}-${basename(path, '.owed')}`;
