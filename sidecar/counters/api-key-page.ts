/** So many keys are told at once at most. */
const LONGEST_PAGE = 1_000;

/** The first ids after one, of many that come in no order and may come again. It keeps no more than twice what it tells. */
export class ApiKeyPage {
  readonly #after: string;
  readonly #limit: number;
  #ids = new Set<string>();
  /** More than these cannot be told; undefined before there are as many. */
  #last: string | undefined;

  constructor({ after = '', limit }: { after?: string | undefined; limit: number }) {
    this.#after = after;
    this.#limit = Math.max(1, Math.min(LONGEST_PAGE, Math.trunc(limit) || 1));
  }

  add(id: string): void {
    if (id <= this.#after || (this.#last !== undefined && id > this.#last)) return;
    this.#ids.add(id);
    if (this.#ids.size >= 2 * (this.#limit + 1)) this.#trim();
  }

  get isFull(): boolean {
    return this.#ids.size > this.#limit;
  }

  /** `next` is undefined if there are no more. */
  end(): { ids: string[]; next: string | undefined } {
    const ids = this.#trim().slice(0, this.#limit);
    return { ids, next: this.isFull ? ids.at(-1) : undefined };
  }

  /** One more than is told is kept: it says that there are more. */
  #trim(): string[] {
    const first = [...this.#ids].sort().slice(0, this.#limit + 1);
    this.#ids = new Set(first);
    if (this.isFull) this.#last = first.at(-1);
    return first;
  }
}
