/** So many to a call: beyond this a batch saves little and delays what else the server has to do. */
const MAX_BATCH = 64;

/**
 * Nor so much, in characters: a request to Upstash may have 1 MiB on its smaller plans, and characters may take more than
 * one byte. What is larger by itself goes alone, so that it fails nobody else.
 */
const MAX_SIZE = 256 * 1024;

/** Two calls under way: the server works on one while the other is on its way. */
const MAX_CALLS = 2;

interface Waiting<Item, Result> {
  item: Item;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/**
 * Joins what arrives while calls are in flight into the next call, in order. `call` answers each item of its batch at
 * the same index; when it throws, the whole batch fails.
 */
export class GroupCommit<Item extends { size: number }, Result> {
  readonly #call: (items: Item[]) => Promise<Result[]>;
  readonly #waiting: Waiting<Item, Result>[] = [];
  #calls = 0;

  constructor(call: (items: Item[]) => Promise<Result[]>) {
    this.#call = call;
  }

  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      // At the end of this turn of the event loop, so that what arrived in one read goes together.
      if (this.#waiting.length === 1) setImmediate(() => this.#start());
    });
  }

  #start(): void {
    while (this.#calls < MAX_CALLS && this.#waiting.length > 0)
      void this.#run(this.#waiting.splice(0, this.#batchLength()));
  }

  #batchLength(): number {
    let size = 0;
    for (let length = 0; length < MAX_BATCH; length++) {
      size += this.#waiting[length]?.item.size ?? 0;
      if (length > 0 && size > MAX_SIZE) return length;
    }
    return MAX_BATCH;
  }

  async #run(batch: Waiting<Item, Result>[]): Promise<void> {
    this.#calls += 1;
    try {
      const results = await this.#call(batch.map(({ item }) => item));
      batch.forEach(({ resolve }, index) => {
        resolve(results[index] as Result);
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      this.#calls -= 1;
      this.#start();
    }
  }
}
