import { Worker } from 'node:worker_threads';
import type { Job, JobResult, Ready, ThreadData } from './protocol.ts';

/** So many jobs to a message: one message costs about as much as three evaluations of a real policy. */
const MAX_BATCH = 64;

export interface EvaluatorOptions {
  wasm: Uint8Array<ArrayBuffer>;
  /** JSON text of `data`. */
  data: string;
  /** An evaluation that takes longer is ended with its thread. */
  timeoutMs: number;
  /** The most memory a policy may take, in WASM pages of 64 KiB. */
  memoryPages: number;
  /** The compiled `evaluation-thread.js`. */
  threadFile: URL;
}

interface Waiting extends Job {
  resolve(result: JobResult): void;
  reject(error: Error): void;
}

/**
 * Evaluates a compiled policy in a thread of its own, many jobs to a message, in order. A job that does not end in time
 * is answered with an error and its thread replaced; the others of its batch are evaluated again.
 */
export class Evaluator {
  readonly entrypoints: readonly string[];
  readonly builtins: readonly string[];
  readonly #options: EvaluatorOptions;
  readonly #progress: SharedArrayBuffer;
  readonly #queue: Waiting[] = [];
  #running: Waiting[] = [];
  #thread: Worker;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** Throws if the policy cannot be loaded: not WASM, another ABI, memory it may not have. */
  static async open(options: EvaluatorOptions): Promise<Evaluator> {
    const progress = new SharedArrayBuffer(4);
    const { thread, ready } = await startThread(options, progress);
    return new Evaluator(options, progress, thread, ready);
  }

  private constructor(
    options: EvaluatorOptions,
    progress: SharedArrayBuffer,
    thread: Worker,
    ready: Exclude<Ready, { error: string }>,
  ) {
    this.#options = options;
    this.#progress = progress;
    this.#progress = progress;
    this.entrypoints = ready.entrypoints;
    this.builtins = ready.builtins;
    this.#thread = this.#attach(thread);
  }

  evaluate(entrypoint: string, input: string | undefined): Promise<JobResult> {
    if (this.#closed) return Promise.reject(new Error('the policy is closed'));
    return new Promise((resolve, reject) => {
      this.#queue.push({ entrypoint, input, resolve, reject });
      // Jobs of the same turn of the event loop go together.
      if (this.#queue.length === 1 && this.#running.length === 0) queueMicrotask(() => this.#send());
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const error = new Error('the policy is closed');
    for (const job of [...this.#running.splice(0), ...this.#queue.splice(0)]) job.reject(error);
    await this.#thread.terminate();
  }

  #send(): void {
    if (this.#running.length || this.#queue.length === 0 || this.#closed) return;
    this.#running = this.#queue.splice(0, MAX_BATCH);
    Atomics.store(new Int32Array(this.#progress), 0, 0);
    this.#watch(0);
    this.#thread.postMessage(this.#running.map(({ entrypoint, input }) => ({ entrypoint, input }) satisfies Job));
  }

  /** A batch may take longer than one evaluation may: only one that stays at the same job for the whole time is ended. */
  #watch(seen: number): void {
    this.#timer = setTimeout(() => {
      const done = Atomics.load(new Int32Array(this.#progress), 0);
      if (done === seen) this.#replace(`took longer than ${this.#options.timeoutMs} ms`);
      else this.#watch(done);
    }, this.#options.timeoutMs);
  }

  #attach(thread: Worker): Worker {
    thread.on('message', (results: JobResult[]) => {
      clearTimeout(this.#timer);
      const jobs = this.#running;
      this.#running = [];
      jobs.forEach((job, index) => {
        job.resolve(results[index] ?? { ok: false, message: 'the evaluation gave no result' });
      });
      this.#send();
    });
    thread.on('error', (error) => this.#replace(error.message));
    return thread;
  }

  /** Ends the thread. The job it was at is answered with an error, the rest goes to the next thread. */
  #replace(reason: string): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    const old = this.#thread;
    old
      .removeAllListeners('message')
      .removeAllListeners('error')
      .on('error', () => {});
    const at = Math.min(Atomics.load(new Int32Array(this.#progress), 0), this.#running.length - 1);
    const [culprit] = this.#running.splice(at, 1);
    culprit?.resolve({ ok: false, message: `the evaluation ${reason}` });
    const others = this.#running;
    old
      .terminate()
      .then(() => startThread(this.#options, this.#progress))
      .then(({ thread }) => {
        if (this.#closed) return thread.terminate();
        this.#thread = this.#attach(thread);
        this.#running = [];
        this.#queue.unshift(...others);
        this.#send();
        return undefined;
      })
      .catch((error: Error) => {
        this.#running = [];
        for (const job of [...others, ...this.#queue.splice(0)]) job.reject(error);
      });
  }
}

function startThread(
  options: EvaluatorOptions,
  progress: SharedArrayBuffer,
): Promise<{ thread: Worker; ready: Exclude<Ready, { error: string }> }> {
  const { wasm, data, memoryPages, threadFile } = options;
  const thread = new Worker(threadFile, { workerData: { wasm, data, memoryPages, progress } satisfies ThreadData });
  return new Promise((resolve, reject) => {
    thread.once('error', reject);
    thread.once('message', (ready: Ready) => {
      thread.off('error', reject);
      if ('error' in ready) {
        void thread.terminate();
        reject(new Error(ready.error));
      } else resolve({ thread, ready });
    });
  });
}
