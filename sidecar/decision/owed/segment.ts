import { AppendFile } from './append-file.ts';
import type { Home } from './home.ts';
import { HEADER } from './lines.ts';

/** One file of what is owed: written by this process, or left by one that has ended. */
export class Segment {
  readonly path: string;
  readonly home: Home;
  /** Decisions in it that are not charged yet. */
  readonly pending = new Set<string>();
  bytes = 0;
  /** When its first grant was given: epoch milliseconds. */
  since = Number.POSITIVE_INFINITY;
  readonly #file: AppendFile | undefined;

  /** `isNew`: to be written. */
  constructor(home: Home, path: string, isNew: boolean) {
    this.home = home;
    this.path = path;
    this.#file = isNew ? new AppendFile(path, HEADER) : undefined;
  }

  get broken(): boolean {
    return this.#file?.broken ?? false;
  }

  note(decisionId: string, bytes: number, decidedAt: number): void {
    this.pending.add(decisionId);
    this.bytes += bytes;
    this.since = Math.min(this.since, decidedAt);
  }

  append(line: Buffer): Promise<void> {
    return this.#file?.append(line) ?? Promise.reject(new Error(`${this.path} is not written any more`));
  }

  /** Nothing is appended after this. Resolves when all that was is written. */
  async end(): Promise<void> {
    await this.#file?.close();
  }
}
