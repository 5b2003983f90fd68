import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Faults } from './proxy-faults.ts';

/** Carries bytes from one socket to another, in order, through the faults of its direction. */
export class Pipe {
  /** Bytes have been lost on it: as in TCP, nothing arrives after a gap. */
  broken = false;
  readonly #to: Socket;
  readonly #faults: Faults;
  readonly #cut: () => void;
  #tail: Promise<void> = Promise.resolve();

  /** @param cut resets the sender's side */
  constructor(to: Socket, faults: Faults, cut: () => void) {
    this.#to = to;
    this.#faults = faults;
    this.#cut = cut;
  }

  /** @param until what these bytes, and all after them, wait for */
  write(bytes: Buffer, until?: Promise<unknown>): void {
    if (this.#faults.swallow) this.broken = true;
    if (!this.broken) this.#later(() => this.#pass(bytes), until);
  }

  end(): void {
    // Sent again and again, it would arrive when all is well: until then the connection stays half open.
    if (this.#faults.swallow) this.broken = true;
    if (!this.broken) this.#later(() => this.#to.end());
  }

  /** Each delay counts from the arrival, so a slow link keeps its throughput; nothing overtakes what came before. */
  #later(work: () => void, until?: Promise<unknown>): void {
    const due = this.#faults.delayMs ? sleep(this.#faults.delayMs) : undefined;
    this.#tail = this.#tail.then(async () => {
      await due;
      await until;
      await this.#faults.open;
      if (!this.#to.destroyed) work();
    });
  }

  #pass(bytes: Buffer): void {
    const { bytesLeft } = this.#faults;
    if (bytesLeft === undefined) {
      this.#to.write(bytes);
    } else if (bytes.length < bytesLeft) {
      this.#faults.bytesLeft = bytesLeft - bytes.length;
      this.#to.write(bytes);
    } else {
      this.#faults.bytesLeft = undefined;
      this.broken = true;
      this.#to.end(bytes.subarray(0, bytesLeft));
      this.#cut();
    }
  }
}
