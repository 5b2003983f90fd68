import { open } from 'node:fs/promises';
import { headerFault, recordJson, splitLines } from './record-line.ts';

const CHUNK_BYTES = 1 << 20;

/** A file of the embedded store that cannot be trusted. Its message says where and what to do; nothing was changed. */
export class DamagedFile extends Error {
  override readonly name = 'DamagedFile';
}

export interface ReadResult {
  /** The length of what is whole. */
  bytes: number;
  /** Bytes after that: a record that a crash cut off in the middle. */
  torn: number;
}

/**
 * Hands each record of a file to `onRecord`, in order. A damaged or unfinished record at the very end is what a crash
 * leaves, and is reported as torn; one before the end throws `DamagedFile`.
 */
export async function readRecords(
  path: string,
  kind: 'journal' | 'snapshot',
  onRecord: (json: string) => void,
): Promise<ReadResult> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const reader = new Reader(path, kind, size, onRecord);
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES);
      if (bytesRead === 0) return reader.end();
      reader.add(chunk.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}

class Reader {
  readonly #path: string;
  readonly #kind: 'journal' | 'snapshot';
  readonly #size: number;
  readonly #onRecord: (json: string) => void;
  #rest: Buffer[] = [];
  #offset = 0;
  #headerRead = false;

  constructor(path: string, kind: 'journal' | 'snapshot', size: number, onRecord: (json: string) => void) {
    this.#path = path;
    this.#kind = kind;
    this.#size = size;
    this.#onRecord = onRecord;
  }

  add(chunk: Buffer): void {
    // Joined only where a line ends in this chunk: a long line would be copied again with each chunk otherwise.
    const { lines, rest } = splitLines(chunk);
    if (lines.length === 0) {
      this.#rest.push(Buffer.from(rest));
      return;
    }
    lines[0] = Buffer.concat([...this.#rest, lines[0] as Buffer]);
    this.#rest = [Buffer.from(rest)];
    for (const line of lines) this.#line(line);
  }

  end(): ReadResult {
    if (!this.#headerRead) throw this.#damaged('has no whole first line');
    return { bytes: this.#offset, torn: this.#size - this.#offset };
  }

  #line(line: Buffer): void {
    const end = this.#offset + line.length + 1;
    if (!this.#headerRead) {
      const fault = headerFault(line.toString(), this.#kind);
      if (fault) throw this.#damaged(fault);
      this.#headerRead = true;
    } else {
      const json = recordJson(line);
      if (json === undefined) {
        // The last line of all: left as torn. `end` sees that the offset has not moved.
        if (end >= this.#size) return;
        throw damagedRecord(this.#path, this.#offset);
      }
      this.#onRecord(json);
    }
    this.#offset = end;
  }

  #damaged(fault: string): DamagedFile {
    return new DamagedFile(`${this.#path} ${fault}. Nothing was changed.`);
  }
}

export const damagedRecord = (path: string, offset: number): DamagedFile =>
  new DamagedFile(
    `${path}: the record at byte ${offset} is damaged, and it is not the last one, so this is no trace of a crash. ` +
      'Nothing was changed. Restore the folder from a backup; or give up that record and all after it with ' +
      `\`truncate -s ${offset} '${path}'\`; or move the folder away to begin with full buckets.`,
  );
