import { v7 as uuidv7 } from 'uuid';

/**
 * Names for calls that go one after the other. The store remembers the last call of each lane. So a lane whose call was
 * answered is used again, and one whose call was lost never: what came of that call stays to be read.
 */
export class Lanes {
  readonly #owner = uuidv7();
  readonly #free: string[] = [];
  #lanes = 0;
  #calls = 0;

  /** For the next call. */
  begin(): { lane: string; call: string } {
    return { lane: this.#free.pop() ?? `${this.#owner}-${++this.#lanes}`, call: String(++this.#calls) };
  }

  answered(lane: string): void {
    this.#free.push(lane);
  }
}
