import { v7 as uuidv7 } from 'uuid';

/** A call that is about to be made: the store is asked to remember what comes of it under the lane's name. */
export interface TracedCall {
  lane: string;
  call: string;
}

/**
 * Names for calls that go one after the other. The store remembers the last call of each lane. So a lane whose call was
 * answered is used again, and one whose call was lost never: what came of that call stays to be read.
 */
export class Lanes {
  readonly #owner = uuidv7();
  readonly #free: string[] = [];
  #lanes = 0;
  #calls = 0;

  begin(): TracedCall {
    return { lane: this.#free.pop() ?? `${this.#owner}-${++this.#lanes}`, call: String(++this.#calls) };
  }

  answered({ lane }: TracedCall): void {
    this.#free.push(lane);
  }
}
