import type { Clock } from '../../../runtime/clock.ts';

/**
 * How far the store's clock is from ours, learnt from its replies: what it says its time was lies between when we asked
 * and when we heard. Our side is the monotonic clock, so a change of our wall clock moves nothing.
 */
export class StoreClock {
  readonly #clock: Clock;
  #offset: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get known(): boolean {
    return this.#offset !== undefined;
  }

  /** Our own reading, to be given to `learn` with the reply. */
  asked(): number {
    return this.#clock.monotonic();
  }

  /** `storeTime` is what a reply to a question asked at `asked` says. */
  learn(storeTime: number, asked: number): void {
    const least = storeTime - this.#clock.monotonic();
    const most = storeTime - asked;
    // The least is the careful choice: a deadline made from it is never later than when we stop waiting.
    this.#offset = this.#offset === undefined ? least : Math.min(most, Math.max(least, this.#offset));
  }

  /** The store's time `milliseconds` after we asked, rounded down. Only once something is known. */
  after(asked: number, milliseconds: number): number {
    return Math.floor(asked + (this.#offset ?? 0) + milliseconds);
  }
}
