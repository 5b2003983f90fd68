import { open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * The files in `<DATA_DIR>/counters`. Generation n is `snapshot-<n>`, all that was known when the generation began, and
 * `journal-<n>`, all that changed since. The first generation needs no snapshot. A journal ends when the next one begins.
 */
export type FileKind = 'journal' | 'snapshot';

export const TEMPORARY = '.tmp';

const NAME = /^(journal|snapshot)-(\d{9})$/;

export const fileName = (kind: FileKind, generation: number): string =>
  `${kind}-${String(generation).padStart(9, '0')}`;

export interface Generations {
  snapshots: number[];
  journals: number[];
}

/** The generations that have files, ascending. */
export async function listGenerations(folder: string): Promise<Generations> {
  const found: Generations = { snapshots: [], journals: [] };
  for (const entry of (await readdir(folder)).sort()) {
    const [, kind, generation] = NAME.exec(entry) ?? [];
    if (kind) found[kind === 'journal' ? 'journals' : 'snapshots'].push(Number(generation));
  }
  return found;
}

/** Removes everything before `generation`, and what a crash left unfinished. */
export async function removeBefore(folder: string, generation: number): Promise<void> {
  for (const entry of await readdir(folder)) {
    const [, kind, number] = NAME.exec(entry) ?? [];
    const old = kind !== undefined && Number(number) < generation;
    if (old || entry.endsWith(TEMPORARY)) await rm(join(folder, entry), { force: true });
  }
  await syncFolder(folder);
}

/** A file is written under another name first, so that it is there as a whole or not at all. */
export async function publish(folder: string, name: string): Promise<void> {
  await rename(join(folder, `${name}${TEMPORARY}`), join(folder, name));
  await syncFolder(folder);
}

/** A new name in a folder survives a loss of power only once the folder itself is synced. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
