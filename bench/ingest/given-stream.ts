import type { StreamEntry, StreamLag, UsageStream } from '../../schemas/usage-stream.ts';

/** A stream of entries that are at hand, which a worker reads in the given batches. */
export class GivenStream implements UsageStream {
  readonly #batches: StreamEntry[][];
  readonly #done: () => void;
  #left: number;
  /** When all of it is acknowledged. */
  readonly done: Promise<void>;

  constructor(batches: StreamEntry[][]) {
    this.#batches = [...batches].reverse();
    this.#left = batches.reduce((sum, { length }) => sum + length, 0);
    const { promise, resolve } = withResolvers();
    this.done = promise;
    this.#done = resolve;
  }

  /** After the last there are no more, and nobody comes to say so. */
  async read(_count: number, waitMs: number): Promise<StreamEntry[]> {
    const batch = this.#batches.pop();
    if (!batch) await new Promise((resolve) => setTimeout(resolve, waitMs));
    return batch ?? [];
  }

  async reclaim(): Promise<StreamEntry[]> {
    return [];
  }

  async acknowledge(ids: string[]): Promise<void> {
    this.#left -= ids.length;
    if (this.#left === 0) this.#done();
  }

  async lag(): Promise<StreamLag> {
    return { entries: this.#left, oldestMs: 0 };
  }

  async close(): Promise<void> {}
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
