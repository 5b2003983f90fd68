import type { SimulatedClock } from '../../sidecar/simulation/simulated-clock.ts';

interface Due {
  at: number;
  wake: () => void;
}

/**
 * Processes that sleep and wake on a simulated clock, one at a time; of two that are due together, the one that went to sleep
 * first. Between two sleeps a process may await anything that takes no simulated time.
 */
export class Timeline {
  readonly #clock: SimulatedClock;
  /** The earliest last. */
  readonly #due: Due[] = [];
  #pause: () => void = () => {};
  #failure: unknown;

  constructor(clock: SimulatedClock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  /** `at`: epoch milliseconds. */
  spawn(at: number, work: () => Promise<void>): void {
    const fail = (error: unknown) => {
      this.#failure = error;
    };
    this.#add(at, () => void work().catch(fail).then(this.#pauseNow));
  }

  /** Only for a process of this timeline. */
  sleep(milliseconds: number): Promise<void> {
    return new Promise((wake) => {
      this.#add(this.now() + Math.max(0, Math.ceil(milliseconds)), wake);
      this.#pause();
    });
  }

  /** Until nobody sleeps any more. Throws what a process throws. */
  async run(): Promise<void> {
    for (let next = this.#due.pop(); next; next = this.#due.pop()) {
      const { at, wake } = next;
      this.#clock.set(at);
      await new Promise<void>((pause) => {
        this.#pause = pause;
        wake();
      });
      if (this.#failure !== undefined) throw this.#failure;
    }
  }

  readonly #pauseNow = (): void => this.#pause();

  #add(at: number, wake: () => void): void {
    let [low, high] = [0, this.#due.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#due[middle] as Due).at > at) low = middle + 1;
      else high = middle;
    }
    this.#due.splice(low, 0, { at, wake });
  }
}
