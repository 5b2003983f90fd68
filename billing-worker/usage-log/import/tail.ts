import type { FileHandle } from 'node:fs/promises';
import { type LogLine, LogLines } from './log-line.ts';

const PIECE_BYTES = 256 * 1_024;
/** Two logs that begin with so many equal bytes are one: their lines tell times and ids. */
const HEAD_BYTES = 1_024;

/** One file, read on as it grows, also after it was renamed or removed: by its handle, which this closes. */
export class Tail {
  readonly #handle: FileHandle;
  readonly #piece = Buffer.alloc(PIECE_BYTES);
  #lines = new LogLines();
  #offset = 0;
  #head = Buffer.alloc(0);

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async isOf(other: FileHandle): Promise<boolean> {
    const [mine, its] = await Promise.all([this.#handle.stat(), other.stat()]);
    return mine.ino === its.ino && mine.dev === its.dev;
  }

  /** What has come since, but for a line that is not ended yet. A file that was cut and written anew is read from its beginning. */
  async *grown(): AsyncGenerator<LogLine> {
    if (await this.#isAnother()) {
      this.#lines = new LogLines();
      this.#offset = 0;
      this.#head = Buffer.alloc(0);
    }
    for (;;) {
      const { bytesRead } = await this.#handle.read(this.#piece, 0, PIECE_BYTES, this.#offset);
      if (bytesRead === 0) return;
      const piece = this.#piece.subarray(0, bytesRead);
      this.#remember(piece);
      this.#offset += bytesRead;
      yield* this.#lines.push(piece);
    }
  }

  last(): LogLine | undefined {
    return this.#lines.last();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  async #isAnother(): Promise<boolean> {
    const { size } = await this.#handle.stat();
    if (size < this.#offset) return true;
    const head = Buffer.alloc(this.#head.length);
    await this.#handle.read(head, 0, head.length, 0);
    return !head.equals(this.#head);
  }

  #remember(piece: Buffer): void {
    if (this.#offset !== this.#head.length) return;
    this.#head = Buffer.concat([this.#head, piece.subarray(0, HEAD_BYTES - this.#head.length)]);
  }
}
