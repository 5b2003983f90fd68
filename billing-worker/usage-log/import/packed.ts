import type { FileHandle } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { type LogLine, LogLines } from './log-line.ts';

const MAGIC = Buffer.from([0x1f, 0x8b]);

export async function isPacked(path: string, handle: FileHandle): Promise<boolean> {
  if (path.endsWith('.gz')) return true;
  const head = Buffer.alloc(MAGIC.length);
  await handle.read(head, 0, head.length, 0);
  return head.equals(MAGIC);
}

/** All lines of a file in gzip, which is finished, so that its last line is one without a line feed too. Leaves the handle open. */
export async function* packedLines(handle: FileHandle): AsyncGenerator<LogLine> {
  const lines = new LogLines();
  const source = handle.createReadStream({ start: 0, autoClose: false });
  const unpacked = createGunzip();
  source.on('error', (error) => unpacked.destroy(error));
  try {
    for await (const piece of source.pipe(unpacked)) yield* lines.push(piece as Buffer);
  } finally {
    source.destroy();
  }
  const last = lines.last();
  if (last) yield last;
}
