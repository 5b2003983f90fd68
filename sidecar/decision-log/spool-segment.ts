import { readFile } from 'node:fs/promises';
import { recordJson, splitLines } from '../counters/embedded/record-line.ts';
import { AppendFile } from '../decision/owed/append-file.ts';
import type { Home } from '../decision/owed/home.ts';

/** A file of the spool: this line, then one event a line, each with its checksum. */
const HEADER = 'openclaw-rating decision log spool, version 1\n';
export const ENDING = 'events';

/** One file of events that wait for their upload, and the unit of it: deleted when all of it is accepted. */
export interface Segment {
  readonly path: string;
  readonly home: Home;
  /** Not accepted yet. */
  events: number;
  bytes: number;
  /** When its first event came: a reading of the monotonic clock. */
  since: number;
  /** Undefined: nothing is added to it any more. */
  file: AppendFile | undefined;
  /** It is being sent, so it must not go now. */
  busy: boolean;
}

/** To be written; made on the disk with its first event. */
export function newSegment(home: Home, since: number): Segment & { file: AppendFile } {
  const path = home.newFile(ENDING);
  return { path, home, events: 0, bytes: 0, since, file: new AppendFile(path, HEADER), busy: false };
}

/** Nothing is added to it any more. */
export async function seal(segment: Segment): Promise<void> {
  await segment.file?.close();
  segment.file = undefined;
}

/** What is whole and undamaged of a file. */
export async function readEvents(path: string): Promise<{ events: string[]; bytes: number }> {
  const text = await readFile(path);
  const { lines } = splitLines(text);
  if (lines.length === 0 || `${lines[0]}\n` !== HEADER) return { events: [], bytes: text.length };
  const events = lines.slice(1).flatMap((line) => recordJson(line) ?? []);
  return { events, bytes: text.length };
}
