import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../../../runtime/log.ts';
import { CountersUnavailable } from '../contract.ts';
import { fileName, publish, TEMPORARY } from './files.ts';
import { header, recordLine } from './record-line.ts';

/** What a loss of power can cost at most. The death of the process alone costs nothing: the kernel has what was written. */
const SYNC_INTERVAL_MS = 1_000;

export interface JournalOptions {
  folder: string;
  generation: number;
  /** Open at the end of the generation's file. */
  file: FileHandle;
  bytes: number;
  /** Beyond this a new generation begins. */
  maxBytes: number;
  /** Called before the callers of a batch are answered, with the mark of its last record. */
  onWritten(mark: number): void;
  /** A new generation has begun; what came before it may be put together in a snapshot. */
  onGeneration(generation: number): Promise<void>;
  log: Log;
}

interface Batch {
  lines: string[];
  mark: number;
  written: PromiseWithResolvers<void>;
}

/**
 * The append-only file that every change is written to before its caller is answered. What arrives while a write is in
 * flight goes together into the next one.
 *
 * A write that fails (a full disk) fails every caller that waits, and every later one: memory is then ahead of the file,
 * and only a restart, which reads the file, brings them together again.
 */
export class Journal {
  readonly #options: JournalOptions;
  #file: FileHandle;
  #generation: number;
  #bytes: number;
  #rotateAt: number;
  #next: Batch = newBatch();
  #writing: Batch | undefined;
  #running: Promise<void> | undefined;
  #compacting: Promise<void> | undefined;
  #syncTimer: NodeJS.Timeout | undefined;
  #failure: CountersUnavailable | undefined;
  #closed = false;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#file = options.file;
    this.#generation = options.generation;
    this.#bytes = options.bytes;
    this.#rotateAt = options.maxBytes;
  }

  /** Throws `CountersUnavailable` if nothing can be written any more. To be asked before memory is changed. */
  check(): void {
    if (this.#failure) throw this.#failure;
    if (this.#closed) throw new CountersUnavailable('the counters are closed');
  }

  /** Resolves when the record is written. `mark` is the caller's own count of what it has appended. */
  append(json: string, mark: number): Promise<void> {
    const batch = this.#next;
    batch.lines.push(recordLine(json));
    batch.mark = mark;
    this.#running ??= this.#run();
    return batch.written.promise;
  }

  /** Resolves when everything that was appended before is written. */
  async written(): Promise<void> {
    await (this.#next.lines.length > 0 ? this.#next : this.#writing)?.written.promise;
  }

  /** Writes what is left, to the disk itself. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
    await this.#compacting;
    clearTimeout(this.#syncTimer);
    if (!this.#failure) await this.#file.datasync();
    await this.#file.close();
  }

  async #run(): Promise<void> {
    // What is appended in this turn of the event loop goes together.
    await Promise.resolve();
    while (this.#next.lines.length > 0 && !this.#failure) {
      this.#writing = this.#next;
      this.#next = newBatch();
      await this.#write(this.#writing);
      this.#writing = undefined;
      if (this.#bytes >= this.#rotateAt && !this.#compacting && !this.#failure) await this.#rotate();
    }
    this.#running = undefined;
  }

  async #write(batch: Batch): Promise<void> {
    try {
      const bytes = Buffer.from(batch.lines.join(''));
      await writeAll(this.#file, bytes);
      this.#bytes += bytes.length;
      this.#syncSoon();
      this.#options.onWritten(batch.mark);
      batch.written.resolve();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#options.log.fatal({ err: error }, 'the counters cannot be written; everything is refused until a restart');
    this.#failure = new CountersUnavailable(`the counters cannot be written: ${(error as Error).message}`, {
      cause: error,
    });
    for (const batch of [this.#writing, this.#next]) {
      // Nobody may be waiting for the next batch, and its rejection is then nobody's.
      batch?.written.promise.catch(() => {});
      batch?.written.reject(this.#failure);
    }
  }

  #syncSoon(): void {
    this.#syncTimer ??= setTimeout(() => {
      this.#syncTimer = undefined;
      this.#file.datasync().catch((error: NodeJS.ErrnoException) => {
        // A file that a new generation has closed meanwhile was synced before.
        if (error.code !== 'EBADF') this.#fail(error);
      });
    }, SYNC_INTERVAL_MS).unref();
  }

  /** Begins a new generation. The old one is synced first, so that only the newest file can end in a torn record. */
  async #rotate(): Promise<void> {
    const { folder, log, maxBytes, onGeneration } = this.#options;
    try {
      await this.#file.datasync();
    } catch (error) {
      return this.#fail(error);
    }
    try {
      const next = await createJournal(folder, this.#generation + 1);
      await this.#file.close();
      this.#file = next.file;
      this.#bytes = next.bytes;
      this.#generation += 1;
      this.#rotateAt = maxBytes;
    } catch (error) {
      this.#rotateAt = this.#bytes + maxBytes;
      log.error({ err: error }, 'no new journal could be begun; the old one goes on');
      return;
    }
    this.#compacting = onGeneration(this.#generation)
      .catch((error) => log.error({ err: error }, 'no snapshot could be written; the journals are kept'))
      .finally(() => {
        this.#compacting = undefined;
      });
  }
}

const newBatch = (): Batch => ({ lines: [], mark: 0, written: withResolvers<void>() });

/** `Promise.withResolvers`, which Node 20 has not. */
function withResolvers<Value>(): PromiseWithResolvers<Value> {
  let resolve!: PromiseWithResolvers<Value>['resolve'];
  let reject!: PromiseWithResolvers<Value>['reject'];
  const promise = new Promise<Value>((...settle) => {
    [resolve, reject] = settle;
  });
  return { promise, resolve, reject };
}

/** An empty journal, on the disk. */
export async function createJournal(folder: string, generation: number): Promise<{ file: FileHandle; bytes: number }> {
  const name = fileName('journal', generation);
  const first = Buffer.from(header('journal'));
  const file = await open(join(folder, `${name}${TEMPORARY}`), 'w', 0o600);
  try {
    await writeAll(file, first);
    await file.sync();
    await publish(folder, name);
    return { file, bytes: first.length };
  } catch (error) {
    await file.close();
    // The old journal goes on, so it must stay the newest.
    for (const left of [name, `${name}${TEMPORARY}`]) await rm(join(folder, left), { force: true });
    throw error;
  }
}

/** A write may take less than it was given. */
export async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done);
    done += bytesWritten;
  }
}
