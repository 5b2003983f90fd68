import type { Ask } from './ask.ts';
import { Batch } from './batch.ts';
import { Counts } from './counts.ts';
import type { LogFile } from './log-file.ts';
import type { LogLine } from './log-line.ts';
import type { Patience } from './patiently.ts';
import { type Format, readLine } from './read-line.ts';

export interface FileOptions {
  worker: Ask;
  patience: Patience;
  format: Format;
  /** The file is read for the last time. */
  final: boolean;
}

/** Sends what has come to a file since the last time. Throws what the worker refuses for good, and when it is aborted. */
export async function importFile(file: LogFile, { final, format, patience, worker }: FileOptions): Promise<Counts> {
  const counts = new Counts();
  const batch = new Batch(worker, patience);
  const lines = file.read({ final });
  for (;;) {
    const next = await lines.next().catch((error: NodeJS.ErrnoException) => {
      counts.failure = error.code ?? 'it is damaged';
    });
    if (!next || next.done) break;
    take(next.value, format, batch, counts);
    if (batch.isFull) await batch.send(counts);
    // What is not read yet is read the next time: by this process or, from the file's beginning, by another one.
    if (patience.signal.aborted) break;
  }
  await batch.send(counts);
  return counts;
}

function take({ bytes, ids, number }: LogLine, format: Format, batch: Batch, counts: Counts): void {
  counts.read++;
  const read = bytes ? readLine(bytes, format, ids) : { wrong: 'it is longer than 1 MiB' };
  if ('wrong' in read) counts.cannotRead(number, read.wrong);
  else if ('other' in read) counts.other++;
  else batch.add(read.request, number);
}
