import { type FileHandle, mkdir, open, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../../../runtime/log.ts';
import { apply, type Effect } from './effect.ts';
import { readEffect } from './effect-json.ts';
import { fileName, type Generations, listGenerations, removeBefore } from './files.ts';
import { createJournal } from './journal.ts';
import { DamagedFile, damagedRecord, readRecords } from './read-records.ts';
import type { SnapshotEnd } from './snapshot.ts';
import { emptyState, type State } from './state.ts';

export interface Recovered {
  state: State;
  generation: number;
  /** The journal that goes on. */
  file: FileHandle;
  bytes: number;
}

/**
 * Reads what the store knew: the newest snapshot, then every journal from its generation on. A record that a crash cut
 * off was never acknowledged, and is cut away. Throws `DamagedFile` if anything else is wrong, and changes nothing then.
 */
export async function recover(folder: string, log: Log): Promise<Recovered> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const found = await listGenerations(folder);
  const first = found.snapshots.at(-1) ?? 1;
  const last = found.journals.at(-1);
  if (last === undefined && found.snapshots.length === 0) {
    await removeBefore(folder, first);
    return { state: emptyState(), generation: first, ...(await createJournal(folder, first)) };
  }
  checkComplete(folder, found, first);
  const state = emptyState();
  if (found.snapshots.length > 0) await readSnapshot(folder, first, state);
  const generation = last as number;
  let bytes = 0;
  for (let each = first; each <= generation; each++) {
    bytes = await readJournal(folder, each, { state, log, newest: each === generation });
  }
  await removeBefore(folder, first);
  return { state, generation, bytes, file: await open(join(folder, fileName('journal', generation)), 'a') };
}

/** Every journal since the snapshot has to be there: one that is missing is a gap in what was taken. */
function checkComplete(folder: string, { journals }: Generations, first: number): void {
  const last = Math.max(first, journals.at(-1) ?? 0);
  for (let each = first; each <= last; each++) {
    if (journals.includes(each)) continue;
    throw new DamagedFile(
      `${join(folder, fileName('journal', each))} is missing. Nothing was changed. Restore the folder from a backup, ` +
        'or move it away to begin with full buckets.',
    );
  }
}

async function readSnapshot(folder: string, generation: number, state: State): Promise<void> {
  const path = join(folder, fileName('snapshot', generation));
  let records = 0;
  let end: SnapshotEnd | undefined;
  const { bytes, torn } = await readRecords(path, 'snapshot', (json) => {
    const record = readEffect(json) as Effect | SnapshotEnd;
    if ('end' in record) {
      end = record;
    } else {
      apply(state, record);
      records += 1;
    }
  });
  if (torn > 0 || end?.records !== records) throw damagedRecord(path, bytes);
}

async function readJournal(
  folder: string,
  generation: number,
  { log, newest, state }: { state: State; log: Log; newest: boolean },
): Promise<number> {
  const path = join(folder, fileName('journal', generation));
  const { bytes, torn } = await readRecords(path, 'journal', (json) => apply(state, readEffect(json)));
  if (torn === 0) return bytes;
  if (!newest) throw damagedRecord(path, bytes);
  log.warn({ path, bytes, torn }, 'the last record was not written to its end; it is cut off, nobody was told of it');
  await truncate(path, bytes);
  return bytes;
}
