import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Effect } from './effect.ts';
import { effectJson } from './effect-json.ts';
import { fileName, publish, TEMPORARY } from './files.ts';
import { writeAll } from './journal.ts';
import { header, recordLine } from './record-line.ts';
import type { State } from './state.ts';

/** So much is written at once; between two writes the store goes on deciding. */
const CHUNK_CHARS = 1 << 18;

/** The last record of a snapshot, so that one that lost its end is known. */
export interface SnapshotEnd {
  end: true;
  records: number;
}

/**
 * Writes all that the store knows, while it goes on. What changes meanwhile may be in it or not: the journal of the
 * same generation, begun before, has it all, and applying it again changes nothing.
 */
export async function writeSnapshot(folder: string, generation: number, state: State): Promise<void> {
  const name = fileName('snapshot', generation);
  const file = await open(join(folder, `${name}${TEMPORARY}`), 'w', 0o600);
  try {
    let text = header('snapshot');
    let records = 0;
    for (const effect of effectsOf(state)) {
      text += recordLine(effectJson(effect));
      records += 1;
      if (text.length < CHUNK_CHARS) continue;
      await writeAll(file, Buffer.from(text));
      text = '';
    }
    const end: SnapshotEnd = { end: true, records };
    await writeAll(file, Buffer.from(text + recordLine(JSON.stringify(end))));
    await file.sync();
  } finally {
    await file.close();
  }
  await publish(folder, name);
}

function* effectsOf(state: State): Generator<Effect> {
  const { apiKeysPublished, budgetGrantsVersion, lastDelivered, lastEntry } = state;
  yield { position: { lastEntry, lastDelivered }, budgetGrantsVersion, apiKeysPublished };
  for (const entry of now(state.counters)) yield { counters: [entry] };
  for (const [, record] of now(state.records)) yield { record };
  for (const entry of now(state.requests)) yield { request: entry };
  for (const entry of now(state.gates)) yield { gate: entry };
  for (const entry of now(state.runs)) yield { run: entry };
  for (const entry of now(state.health)) yield { health: entry };
  for (const entry of now(state.budgetGrants)) yield { budgetGrant: entry };
  for (const entry of now(state.apiKeys)) yield { apiKeys: [entry] };
  for (const entry of now(state.apiKeysUsed)) yield { apiKeysUsed: [entry] };
  for (const [number, { delivered, event }] of now(state.stream)) {
    yield { event: [number, event], ...(delivered > 0 && { delivered: [[number, delivered]] }) };
  }
}

/** What is in a map at the beginning, less what goes meanwhile; without this a busy store's snapshot might never end. */
function* now<Key, Value>(map: Map<Key, Value>): Generator<[Key, Value]> {
  let left = map.size;
  for (const entry of map) {
    if (left-- === 0) return;
    yield entry;
  }
}
