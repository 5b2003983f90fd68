/** So many calls tell how far it is. */
const CALLS = 32;

/**
 * How far away a store is: what the fastest of some calls took. A server that has much to do, or no processor, is slow with most calls and
 * not with all; a network is with all. Near, until it is known.
 */
export class Distance {
  #ms = 0;
  #least = Number.POSITIVE_INFINITY;
  #calls = 0;

  /** Milliseconds there and back. */
  get ms(): number {
    return this.#ms;
  }

  note(tookMs: number): void {
    this.#least = Math.min(this.#least, tookMs);
    this.#calls += 1;
    if (this.#calls < CALLS) return;
    this.#ms = this.#least;
    this.#least = Number.POSITIVE_INFINITY;
    this.#calls = 0;
  }
}
