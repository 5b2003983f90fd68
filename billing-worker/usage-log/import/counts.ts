const SHOWN = 5;

/** What became of the lines of one file. */
export class Counts {
  read = 0;
  new = 0;
  /** In the ledger before. */
  known = 0;
  /** Of the gateway's own log, which are no requests. */
  other = 0;
  unreadable = 0;
  /** The first of them: line and reason. */
  readonly shown: { line: number; why: string }[] = [];
  /** Why the file itself could not be read to its end. */
  failure: string | undefined;

  cannotRead(line: number, why: string): void {
    this.unreadable++;
    if (this.shown.length < SHOWN) this.shown.push({ line, why });
  }

  get isComplete(): boolean {
    return this.unreadable === 0 && this.failure === undefined;
  }

  /** For people. Never what a line says, since that may be secret. */
  told(file: string): string {
    const { known, other, read, unreadable } = this;
    const ofOther = other ? `, ${other} of the gateway's own log` : '';
    const first = `${file}: ${read} lines read: ${this.new} new, ${known} known before, ${unreadable} unreadable${ofOther}`;
    const lines = this.shown.map(({ line, why }) => `  line ${line}: ${why}`);
    const more = unreadable > this.shown.length ? [`  and ${unreadable - this.shown.length} more`] : [];
    const failed = this.failure === undefined ? [] : [`  it could not be read to its end: ${this.failure}`];
    return [first, ...lines, ...more, ...failed].join('\n');
  }
}
