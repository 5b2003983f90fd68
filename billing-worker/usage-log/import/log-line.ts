import { LineIds } from './line-ids.ts';
import { LineSplitter } from './line-splitter.ts';

export interface LogLine {
  /** Counted from 1, in what the file holds. */
  number: number;
  /** Without the line feed; undefined for a line that is too long. */
  bytes: Buffer | undefined;
  /** Of the file that it is in. */
  ids: LineIds;
}

/** The lines of one file, read from its beginning. Empty ones are counted and passed over. */
export class LogLines {
  readonly #splitter = new LineSplitter();
  readonly #ids = new LineIds();
  #number = 0;

  *push(piece: Buffer): Generator<LogLine> {
    for (const bytes of this.#splitter.push(piece)) {
      this.#number++;
      if (bytes === undefined || bytes.length) yield { number: this.#number, bytes, ids: this.#ids };
    }
  }

  /** What stands after the last line feed, if anything: half a line, or the last one of a file that ends without. */
  last(): LogLine | undefined {
    const bytes = this.#splitter.rest;
    return bytes.length ? { number: this.#number + 1, bytes, ids: this.#ids } : undefined;
  }
}
