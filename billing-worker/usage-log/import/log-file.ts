import { type FileHandle, open } from 'node:fs/promises';
import type { LogLine } from './log-line.ts';
import { isPacked, packedLines } from './packed.ts';
import { Tail } from './tail.ts';

/** A gateway goes on writing to the file that was renamed until it is told to open the new one; so often nothing may come of it. */
const SILENT_READS = 3;

/**
 * A log under its name, over rotations: what was renamed is read to its end first, what was cut and written anew is read
 * from its beginning. A file in gzip is read once, whole.
 */
export class LogFile {
  readonly path: string;
  #current: Tail | undefined;
  #renamed: { tail: Tail; silent: number }[] = [];
  /** Of the packed file that was read whole. */
  #packed: string | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * Lines that have come since the last time. Where the file is read for the last time, `final`, also one without a line feed
   * that is whole all the same. Throws the system's error for what cannot be read.
   */
  async *read({ final }: { final: boolean }): AsyncGenerator<LogLine> {
    const handle = await open(this.path).catch((error) => this.#absent(error));
    if (handle && (await isPacked(this.path, handle))) {
      yield* this.#unpacked(handle);
      return;
    }
    await this.#turnTo(handle);
    yield* this.#rotated(final);
    if (!this.#current) return;
    yield* this.#current.grown();
    if (final) yield* wholeLast(this.#current);
  }

  async close(): Promise<void> {
    const tails = [this.#current, ...this.#renamed.map(({ tail }) => tail)];
    this.#current = undefined;
    this.#renamed = [];
    await Promise.all(tails.map((tail) => tail?.close()));
  }

  /** Between the rename and the gateway's opening of the new file there is none. */
  #absent(error: NodeJS.ErrnoException): undefined {
    if (error.code !== 'ENOENT' || !(this.#current || this.#renamed.length)) throw error;
  }

  async #turnTo(handle: FileHandle | undefined): Promise<void> {
    if (handle && (await this.#current?.isOf(handle))) return handle.close();
    if (this.#current) this.#renamed.push({ tail: this.#current, silent: 0 });
    this.#current = handle && new Tail(handle);
  }

  async *#rotated(final: boolean): AsyncGenerator<LogLine> {
    for (const one of [...this.#renamed]) {
      one.silent++;
      for await (const line of one.tail.grown()) {
        one.silent = 0;
        yield line;
      }
      if (!final && one.silent < SILENT_READS) continue;
      yield* wholeLast(one.tail);
      this.#renamed = this.#renamed.filter((other) => other !== one);
      await one.tail.close();
    }
  }

  async *#unpacked(handle: FileHandle): AsyncGenerator<LogLine> {
    try {
      const { ino, mtimeMs, size } = await handle.stat();
      const known = `${ino}:${size}:${mtimeMs}`;
      if (known === this.#packed) return;
      yield* packedLines(handle);
      this.#packed = known;
    } finally {
      await handle.close();
    }
  }
}

/** A JSON object that has its closing brace is whole, with or without the line feed that is to come. */
function* wholeLast(tail: Tail): Generator<LogLine> {
  const last = tail.last();
  if (last?.bytes && isJson(last.bytes)) yield last;
}

function isJson(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString('utf8'));
    return true;
  } catch {
    return false;
  }
}
