/** Random numbers that are the same for the same seed, whatever else was thrown before. */
export class Dice {
  #state: number;

  constructor(...seed: (number | string)[]) {
    this.#state = [...seed.join('/')].reduce(
      (hash, char) => Math.imul(hash ^ char.charCodeAt(0), 0x01000193),
      0x811c9dc5,
    );
  }

  /** From 0 to 1, without 1. The step is that of "mulberry32". */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  between(least: number, most: number): number {
    return least + (most - least) * this.next();
  }

  whole(least: number, most: number): number {
    return Math.floor(this.between(least, most + 1));
  }

  /** Times between things that happen on their own, so many apart in the mean. */
  gap(mean: number): number {
    return -mean * Math.log(1 - this.next());
  }

  /** Half of them below the median; a larger spread makes more long ones. */
  lognormal(median: number, spread: number): number {
    const normal = Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
    return median * Math.exp(spread * normal);
  }
}
