import type { Cycle } from '../cycles.ts';
import { type Exact, exact, prorated, rounded, shown } from './exact.ts';
import type { PlanSpan } from './plan.ts';

/** The part of its cycle in which a plan holds, by time: what it gives and asks for a whole cycle is prorated by it. */
export class Share {
  readonly #part: bigint;
  readonly #whole: bigint;

  constructor({ from, to }: PlanSpan, cycle: Cycle) {
    this.#part = BigInt(to - from);
    this.#whole = BigInt(cycle.end - cycle.start);
  }

  get isWhole(): boolean {
    return this.#part === this.#whole;
  }

  /** Rounded down to whole tokens. */
  tokens(ofCycle: number): bigint {
    return (BigInt(ofCycle) * this.#part) / this.#whole;
  }

  /** To 12 places, half up. */
  money(ofCycle: string): Exact {
    return prorated(ofCycle, this.#part, this.#whole);
  }

  /** `48.39% of 49.00`, or the amount alone where it is the whole of it. */
  describe(ofCycle: string): string {
    if (this.isWhole) return ofCycle;
    const percent = (exact('100') * this.#part) / this.#whole;
    return `${shown(rounded(percent, 2))}% of ${ofCycle}`;
  }
}
