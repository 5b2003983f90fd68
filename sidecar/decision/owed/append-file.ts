import { type FileHandle, open } from 'node:fs/promises';
import { writeAll } from '../../counters/embedded/journal.ts';

interface Batch {
  lines: Buffer[];
  settle: { resolve(): void; reject(error: unknown): void }[];
}

/**
 * A file that lines are appended to. What arrives while a write is in flight goes together into the next one. A line is
 * with the kernel when `append` resolves, so the death of this process loses nothing. It is not synced: a loss of power
 * can cost the last seconds, and waiting for the disk would cost each answer milliseconds.
 *
 * A write that fails fails those that wait for it, and what it left is cut off again: who was refused must not be found
 * in the file.
 */
export class AppendFile {
  readonly #path: string;
  readonly #header: Buffer;
  #file: FileHandle | undefined;
  #bytes = 0;
  #next: Batch = { lines: [], settle: [] };
  #running: Promise<void> | undefined;
  #broken: unknown;

  /** Made with the first append, readable by its owner alone; there must be none of that name. */
  constructor(path: string, header: string) {
    this.#path = path;
    this.#header = Buffer.from(header);
  }

  /** Set once the file can be neither written nor mended: another one is needed. */
  get broken(): boolean {
    return this.#broken !== undefined;
  }

  append(line: Buffer): Promise<void> {
    const { lines, settle } = this.#next;
    const written = new Promise<void>((resolve, reject) => {
      settle.push({ resolve, reject });
    });
    lines.push(line);
    this.#running ??= this.#run();
    return written;
  }

  /** Waits for what is being written. */
  async close(): Promise<void> {
    await this.#running;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #run(): Promise<void> {
    // What is appended in this turn of the event loop goes together.
    await Promise.resolve();
    while (this.#next.lines.length > 0) {
      const batch = this.#next;
      this.#next = { lines: [], settle: [] };
      try {
        await this.#write(Buffer.concat(batch.lines));
        for (const { resolve } of batch.settle) resolve();
      } catch (error) {
        for (const { reject } of batch.settle) reject(error);
      }
    }
    this.#running = undefined;
  }

  async #write(lines: Buffer): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    const bytes = this.#bytes === 0 ? Buffer.concat([this.#header, lines]) : lines;
    this.#file ??= await open(this.#path, 'ax', 0o600);
    try {
      await writeAll(this.#file, bytes);
      this.#bytes += bytes.length;
    } catch (error) {
      await this.#file.truncate(this.#bytes).catch(() => {
        this.#broken = error;
      });
      throw error;
    }
  }
}
