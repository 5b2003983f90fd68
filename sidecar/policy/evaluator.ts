import { PolicyThread, ThreadEnded, type ThreadOptions } from './policy-thread.ts';
import type { Contents, Job, JobResult } from './protocol.ts';

/** So many jobs to a message: one message costs about as much as three evaluations of a real policy. */
const MAX_BATCH = 64;
/**
 * A replaced policy keeps its thread for so long after its last evaluation: an answer that is between plan and decision
 * waits for the counters, which have STORE_TIMEOUT_MS (250).
 */
const REST_AFTER_MS = 500;

interface Waiting extends Job {
  resolve(result: JobResult): void;
  reject(error: Error): void;
}

/**
 * Evaluates a compiled policy in a thread of its own, many jobs to a message, in order. A job that does not end in time
 * is answered with an error and its thread replaced; the others of its batch are evaluated again.
 */
export class Evaluator {
  readonly contents: Contents;
  readonly #options: ThreadOptions;
  readonly #queue: Waiting[] = [];
  #running: Waiting[] = [];
  #thread: PolicyThread | undefined;
  #draining = false;
  #replaced = false;
  #restTimer: NodeJS.Timeout | undefined;
  #closed = false;

  /** Throws if the policy cannot be loaded: not WASM, another ABI, memory it may not have. */
  static async open(options: ThreadOptions): Promise<Evaluator> {
    return new Evaluator(options, await PolicyThread.start(options));
  }

  private constructor(options: ThreadOptions, thread: PolicyThread) {
    this.#options = options;
    this.#thread = thread;
    this.contents = thread.contents;
  }

  /** Whether it has a thread now. */
  get awake(): boolean {
    return this.#thread !== undefined;
  }

  evaluate(entrypoint: string, input: string | undefined): Promise<JobResult> {
    if (this.#closed) return Promise.reject(new Error('the policy is closed'));
    return new Promise((resolve, reject) => {
      this.#queue.push({ entrypoint, input, resolve, reject });
      if (this.#draining) return;
      this.#draining = true;
      clearTimeout(this.#restTimer);
      // Jobs of the same turn of the event loop go together.
      queueMicrotask(() => void this.#drain());
    });
  }

  /**
   * Another policy has taken its place. Answers on their way go on with it as long as they take; its thread is ended
   * when none has asked for a while, and one that asks later gets a new thread.
   */
  retire(): void {
    this.#replaced = true;
    if (!this.#draining) this.#restLater();
  }

  /** The same policy in a thread of its own. The caller closes it. */
  another(): Promise<Evaluator> {
    return Evaluator.open(this.#options);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#restTimer);
    const error = new Error('the policy is closed');
    for (const job of [...this.#running.splice(0), ...this.#queue.splice(0)]) job.reject(error);
    await this.#thread?.end();
  }

  async #drain(): Promise<void> {
    while (this.#queue.length && !this.#closed) {
      this.#running = this.#queue.splice(0, MAX_BATCH);
      await this.#runBatch(this.#running);
    }
    this.#draining = false;
    if (this.#replaced) this.#restLater();
  }

  /** Never rejects: each job of the batch has its answer afterwards, or is back in the queue. */
  async #runBatch(batch: Waiting[]): Promise<void> {
    try {
      const thread = await this.#awaken();
      const results = await thread.run(batch.map(({ entrypoint, input }) => ({ entrypoint, input })));
      batch.forEach((job, index) => {
        job.resolve(results[index] ?? { ok: false, message: 'the evaluation gave no result' });
      });
    } catch (error) {
      if (error instanceof ThreadEnded) await this.#lost(batch, error);
      else for (const job of batch) job.resolve({ ok: false, message: (error as Error).message });
    }
    this.#running = [];
  }

  async #awaken(): Promise<PolicyThread> {
    if (this.#thread) return this.#thread;
    const thread = await PolicyThread.start(this.#options);
    if (this.#closed) await thread.end();
    this.#thread = thread;
    return thread;
  }

  /** The job at which the thread was is answered with an error, the rest goes to the next thread. */
  async #lost(batch: Waiting[], { at, message }: ThreadEnded): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    await thread?.end();
    const culprit = at < 0 ? undefined : batch[Math.min(at, batch.length - 1)];
    culprit?.resolve({ ok: false, message });
    if (!this.#closed) this.#queue.unshift(...batch.filter((job) => job !== culprit));
  }

  #restLater(): void {
    clearTimeout(this.#restTimer);
    this.#restTimer = setTimeout(() => {
      const thread = this.#thread;
      this.#thread = undefined;
      void thread?.end();
    }, REST_AFTER_MS).unref();
  }
}
