import { ErrorReply } from 'redis';

/**
 * Notices a connection whose other end is gone without a word: commands wait, and nothing is answered for `limitMs`.
 * A time limit on the socket does not notice it while there is traffic, because each write starts it anew (with a limit
 * of 1 s and a write every 0.4 s it fired 1 s after the last write, not after the last answer).
 */
export class Silence {
  readonly #limitMs: number;
  readonly #onSilence: () => void;
  #waiting = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(limitMs: number, onSilence: () => void) {
    this.#limitMs = limitMs;
    this.#onSilence = onSilence;
  }

  /** `answer` rejects with anything but an `ErrorReply` where none came: the client gave up, or the connection is lost. */
  async listen<Result>(answer: Promise<Result>): Promise<Result> {
    this.#waiting += 1;
    this.#timer ??= setTimeout(() => this.#silent(), this.#limitMs);
    try {
      const result = await answer;
      this.#timer?.refresh();
      return result;
    } catch (error) {
      if (error instanceof ErrorReply) this.#timer?.refresh();
      throw error;
    } finally {
      this.#waiting -= 1;
      if (!this.#waiting) this.#stop();
    }
  }

  #silent(): void {
    this.#stop();
    this.#onSilence();
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
