import { type Random, randomOf } from '../../helpers/generated-event.ts';

/** Chances that come out the same for the same seed. */
export class Dice {
  readonly #random: Random;

  /** `index` tells the throws of one part of a seed from those of another. */
  constructor(seed: number, index = 0) {
    this.#random = randomOf(seed, index);
  }

  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number {
    return least + Math.floor(this.#random() * (most - least + 1));
  }

  chance(share: number): boolean {
    return this.#random() < share;
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[Math.floor(this.#random() * items.length)];
    if (item === undefined) throw new RangeError('there is nothing to pick from');
    return item;
  }

  /** One of them, each as often as its weight says. */
  weighted<Item>(items: readonly (readonly [weight: number, item: Item])[]): Item {
    const at = this.#random() * items.reduce((sum, [weight]) => sum + weight, 0);
    let reached = 0;
    const found = items.find(([weight]) => {
      reached += weight;
      return at < reached;
    });
    if (!found) throw new RangeError('there is nothing to pick from');
    return found[1];
  }

  shuffled<Item>(items: readonly Item[]): Item[] {
    return items
      .map((item) => ({ item, at: this.#random() }))
      .toSorted((a, b) => a.at - b.at)
      .map(({ item }) => item);
  }
}
