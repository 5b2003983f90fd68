export type Direction = 'toClient' | 'toServer';

/** What is being done to one direction of all connections of a proxy. */
export class Faults {
  delayMs = 0;
  swallow = false;
  /** How many more bytes pass before the connection is cut; undefined: no cut. */
  bytesLeft: number | undefined;
  #open: Promise<void> = Promise.resolve();
  #release: () => void = () => undefined;

  /** Resolves while nothing is held, else when it is released. */
  get open(): Promise<void> {
    return this.#open;
  }

  hold(): void {
    this.release();
    this.#open = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  release(): void {
    this.#release();
  }

  clear(): void {
    this.delayMs = 0;
    this.swallow = false;
    this.bytesLeft = undefined;
    this.release();
  }
}
