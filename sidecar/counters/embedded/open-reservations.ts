interface Entry {
  decisionId: string;
  until: number;
}

/**
 * Reservations that are neither settled, voided nor expired, by when they expire: the next one first, of those at the same
 * instant the one that was added first. Adding is cheap while the clock goes forward; after it was set back a new one goes
 * before others.
 */
export class OpenReservations {
  readonly #entries = new Map<string, Entry>();
  /** Sorted from `#head` on; holds some that are gone, also of an id that was added again. */
  #order: Entry[] = [];
  #head = 0;

  get size(): number {
    return this.#entries.size;
  }

  add(decisionId: string, until: number): void {
    if (this.#entries.get(decisionId)?.until === until) return;
    const entry = { decisionId, until };
    this.#entries.set(decisionId, entry);
    const last = this.#order.at(-1);
    if (!last || last.until <= until || this.#head === this.#order.length) this.#order.push(entry);
    else this.#order.splice(this.#firstAfter(until), 0, entry);
  }

  delete(decisionId: string): void {
    this.#entries.delete(decisionId);
  }

  /** Those whose time is over. One may be deleted while they are gone through. */
  *due(now: number): Generator<string> {
    this.#dropGone();
    for (let index = this.#head; index < this.#order.length; index++) {
      const entry = this.#order[index] as Entry;
      if (now < entry.until) return;
      if (this.#entries.get(entry.decisionId) === entry) yield entry.decisionId;
    }
  }

  #firstAfter(until: number): number {
    let [low, high] = [this.#head, this.#order.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#order[middle]?.until ?? 0) <= until) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** What is gone at the front; memory is given back when that is most of it. */
  #dropGone(): void {
    for (let next = this.#order[this.#head]; next; next = this.#order[this.#head]) {
      if (this.#entries.get(next.decisionId) === next) break;
      this.#head += 1;
    }
    if (this.#head * 2 < this.#order.length) return;
    this.#order = this.#order.slice(this.#head);
    this.#head = 0;
  }
}
