import { createContext, Script } from 'node:vm';

/**
 * Interrupts synchronous work, also a loop in WebAssembly, without ending its thread. Node keeps a watch for it in a thread
 * that is made for each call: 80 µs, measured.
 */
export class TimeLimit {
  #work: () => void = () => {};
  readonly #context = createContext({ run: () => this.#work() });
  readonly #script = new Script('run()');

  /** False: it was interrupted after `ms` milliseconds. What the work throws is thrown. */
  completes(work: () => void, ms: number): boolean {
    this.#work = work;
    try {
      this.#script.runInContext(this.#context, { timeout: ms });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return false;
      throw error;
    }
  }
}
