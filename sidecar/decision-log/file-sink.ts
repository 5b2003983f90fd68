import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError } from '../../runtime/config/config-error.ts';
import { DataDirInUse, type DataDirLock, lockDataDir } from '../../runtime/data-dir-lock.ts';
import { writeAll } from '../counters/embedded/journal.ts';
import type { DecisionLogCounts } from './counts.ts';
import type { Line, Sink, SinkStatus } from './sink.ts';

export interface FileSinkOptions {
  /** Of this process alone. */
  folder: string;
  /** A file that would grow beyond this is put aside first. */
  maxBytes: number;
  /** How many there are, with the one that is written. */
  maxFiles: number;
  counts: DecisionLogCounts;
  /** At most once a minute. */
  complain: (error: unknown) => void;
}

const NEWLINE = Buffer.from('\n');

/**
 * `decisions.jsonl`, one event a line, and those before it: `decisions.1.jsonl` is the youngest. Not synced: a loss of
 * power can cost the last seconds.
 */
export class FileSink implements Sink {
  readonly #options: FileSinkOptions;
  readonly #lock: DataDirLock;
  #file: FileHandle | undefined;
  #bytes = 0;
  #lost: string | undefined;

  /** Throws `ConfigError` if another process writes there, or nothing can be written. */
  static async open(options: FileSinkOptions): Promise<FileSink> {
    const { folder } = options;
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const sink = new FileSink(options, await lockDataDir(folder));
      await sink.#open();
      return sink;
    } catch (error) {
      const why =
        error instanceof DataDirInUse
          ? 'another process writes its decision log there; give each its own DATA_DIR'
          : `nothing can be written there (${(error as Error).message}); let this process's user write there`;
      throw new ConfigError([`environment: DECISION_LOGS=file writes to ${folder}, and ${why}`]);
    }
  }

  private constructor(options: FileSinkOptions, lock: DataDirLock) {
    this.#options = options;
    this.#lock = lock;
  }

  get status(): SinkStatus {
    return { lost: this.#lost };
  }

  async write(lines: readonly Line[]): Promise<void> {
    let written = 0;
    try {
      for (const chunk of this.#chunks(lines)) {
        if (this.#bytes > 0 && this.#bytes + chunk.bytes.length > this.#options.maxBytes) await this.#rotate();
        await this.#append(chunk.bytes);
        written += chunk.events;
      }
      this.#lost = undefined;
    } catch (error) {
      this.#lost = `decisions cannot be written to their file: ${(error as Error).message}`;
      this.#options.counts.drop('file_failed', lines.length - written);
      this.#options.complain(error);
    }
  }

  async close(): Promise<void> {
    await this.#file?.close();
    await this.#lock.release();
  }

  /** So much at once as a file may hold. */
  *#chunks(lines: readonly Line[]): Generator<{ bytes: Buffer; events: number }> {
    let pending: Buffer[] = [];
    let length = 0;
    for (const { json } of lines) {
      const bytes = Buffer.from(`${json}\n`);
      const room = this.#options.maxBytes - this.#bytes;
      if (pending.length > 0 && length + bytes.length > room) {
        yield { bytes: Buffer.concat(pending), events: pending.length };
        pending = [];
        length = 0;
      }
      pending.push(bytes);
      length += bytes.length;
    }
    if (pending.length > 0) yield { bytes: Buffer.concat(pending), events: pending.length };
  }

  async #append(bytes: Buffer): Promise<void> {
    const file = this.#file ?? (await this.#open());
    try {
      await writeAll(file, bytes);
      this.#bytes += bytes.length;
    } catch (error) {
      // Half a line would spoil the next one.
      await file.truncate(this.#bytes).catch(() => {});
      throw error;
    }
  }

  async #open(): Promise<FileHandle> {
    const file = await open(this.#path(0), 'a+', 0o600);
    this.#file = file;
    const { size } = await file.stat();
    this.#bytes = size;
    const last = Buffer.alloc(1);
    if (size > 0) await file.read(last, 0, 1, size - 1);
    // A process that was killed may have left a line without its end.
    if (size > 0 && !last.equals(NEWLINE)) await this.#append(NEWLINE);
    return file;
  }

  async #rotate(): Promise<void> {
    const { maxFiles } = this.#options;
    await this.#file?.close();
    this.#file = undefined;
    await rm(this.#path(maxFiles - 1), { force: true });
    for (let n = maxFiles - 2; n >= 0; n--) {
      await rename(this.#path(n), this.#path(n + 1)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
    }
    await this.#open();
  }

  #path(n: number): string {
    return join(this.#options.folder, n === 0 ? 'decisions.jsonl' : `decisions.${n}.jsonl`);
  }
}
