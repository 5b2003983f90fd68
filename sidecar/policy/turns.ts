import type { Waiting } from './waiting.ts';

/** So many jobs to a message: one message costs about as much as three evaluations of a real policy. */
const MAX_BATCH = 64;
/** While wary: whoever is in one message with jobs that loop waits for them. */
const WARY_BATCH = 8;

/** Who is evaluated next. */
export class Turns {
  readonly #waiting: Waiting[] = [];
  #newestFirst = false;

  get length(): number {
    return this.#waiting.length;
  }

  get empty(): boolean {
    return this.#waiting.length === 0;
  }

  add(job: Waiting): void {
    this.#waiting.push(job);
  }

  /** They had their turn and lost their thread: they are the first again. */
  putBack(jobs: readonly Waiting[]): void {
    this.#waiting.unshift(...jobs);
  }

  /** While wary, every other turn is for those who came last: they need not wait for a thousand that loop. */
  next({ wary }: { wary: boolean }): Waiting[] {
    if (!wary) return this.#waiting.splice(0, MAX_BATCH);
    this.#newestFirst = !this.#newestFirst;
    return this.#newestFirst ? this.#waiting.splice(-WARY_BATCH) : this.#waiting.splice(0, WARY_BATCH);
  }

  /** All of them, to be answered otherwise. */
  clear(): Waiting[] {
    return this.#waiting.splice(0);
  }
}
