const LINE_FEED = 0x0a;

/** A line longer than this is none of an access log, and is not held. */
export const MAX_LINE_BYTES = 1_024 * 1_024;

/** Cuts bytes into lines, whatever the pieces in which they come. */
export class LineSplitter {
  #rest: Buffer[] = [];
  #size = 0;

  /** The lines that end in this piece, without their line feeds; undefined for one that is too long. */
  *push(piece: Buffer): Generator<Buffer | undefined> {
    let start = 0;
    for (let end = piece.indexOf(LINE_FEED); end >= 0; end = piece.indexOf(LINE_FEED, start)) {
      this.#keep(piece.subarray(start, end));
      yield this.#take();
      start = end + 1;
    }
    this.#keep(piece.subarray(start));
  }

  /** What has no line feed yet. */
  get rest(): Buffer {
    return Buffer.concat(this.#rest);
  }

  #keep(part: Buffer): void {
    this.#size += part.length;
    if (this.#size > MAX_LINE_BYTES) this.#rest = [];
    // A copy: the piece is the reader's to use again.
    else if (part.length) this.#rest.push(Buffer.from(part));
  }

  #take(): Buffer | undefined {
    const line = this.#size > MAX_LINE_BYTES ? undefined : this.rest;
    this.#rest = [];
    this.#size = 0;
    return line;
  }
}
