/**
 * How many records each partition may hold, so that all of them together stay within one bound: what it holds, and an
 * equal share of what is left, rounded up. Learnt from what the partitions said last, every second, so many sidecars at
 * once may overshoot by what they take in that second.
 */
export class RecordShare {
  readonly #maxRecords: number;
  readonly #held = new Map<string, number>();

  constructor(maxRecords: number) {
    this.#maxRecords = maxRecords;
  }

  /** `partition` holds so many records now. */
  learn(partition: string, records: number): void {
    this.#held.set(partition, records);
  }

  maxOf(partition: string): number {
    let total = 0;
    for (const records of this.#held.values()) total += records;
    const share = Math.ceil(Math.max(0, this.#maxRecords - total) / Math.max(1, this.#held.size));
    return Math.min(this.#maxRecords, (this.#held.get(partition) ?? 0) + share);
  }
}
