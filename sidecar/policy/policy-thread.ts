import { Worker } from 'node:worker_threads';
import type { Contents, Job, JobResult, Ready, ThreadData } from './protocol.ts';

/** A module may begin with a loop, too. Loading a real policy takes tens of milliseconds. */
const START_TIMEOUT_MS = 10_000;
/** For what built-ins and answers take outside of the policy's own memory. */
const MAX_HEAP_MB = 256;

export interface ThreadOptions {
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

/** The thread has ended, or has been ended, at job `at` of its batch. It serves no more. */
export class ThreadEnded extends Error {
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

/** A thread with a policy loaded. Runs one batch at a time. */
export class PolicyThread {
  readonly contents: Contents;
  readonly #worker: Worker;
  readonly #done: Int32Array;
  readonly #timeoutMs: number;

  /** Throws if the policy cannot be loaded: not WASM, another ABI, memory it may not have. */
  static async start({ data, memoryPages, threadFile, timeoutMs, wasm }: ThreadOptions): Promise<PolicyThread> {
    const progress = new SharedArrayBuffer(4);
    const worker = new Worker(threadFile, {
      workerData: { wasm, data, memoryPages, progress } satisfies ThreadData,
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    });
    try {
      const ready = await oneOf<Ready>(worker, START_TIMEOUT_MS);
      if ('error' in ready) throw new Error(ready.error);
      return new PolicyThread(worker, ready, new Int32Array(progress), timeoutMs);
    } catch (error) {
      await worker.terminate();
      throw error;
    }
  }

  private constructor(worker: Worker, contents: Contents, done: Int32Array, timeoutMs: number) {
    this.#worker = worker;
    this.contents = contents;
    this.#done = done;
    this.#timeoutMs = timeoutMs;
    // Between batches nobody waits for it; the next batch learns that it has ended.
    worker.on('error', () => {});
  }

  /** The results, in order. Throws `ThreadEnded`, also when one job takes longer than it may. */
  run(jobs: readonly Job[]): Promise<JobResult[]> {
    Atomics.store(this.#done, 0, 0);
    if (this.#worker.threadId < 0) return Promise.reject(new ThreadEnded(-1, 'its thread has ended'));
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout;
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        this.#worker.off('message', onMessage).off('error', onError).off('exit', onExit);
        settle();
      };
      const fail = (why: string) => finish(() => reject(new ThreadEnded(Atomics.load(this.#done, 0), why)));
      const onMessage = (results: JobResult[]) => finish(() => resolve(results));
      const onError = (error: Error) => fail(error.message);
      const onExit = () => fail('its thread has ended');
      // A batch may take longer than one evaluation may: only one that stays at the same job for the whole time is ended.
      const watch = (seen: number) => {
        timer = setTimeout(() => {
          const done = Atomics.load(this.#done, 0);
          if (done === seen) fail(`the evaluation took longer than ${this.#timeoutMs} ms`);
          else watch(done);
        }, this.#timeoutMs);
      };
      this.#worker.on('message', onMessage).on('error', onError).on('exit', onExit);
      watch(0);
      this.#worker.postMessage(jobs);
    });
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** The first message of a worker. Throws if it ends or says nothing in time. */
function oneOf<Message>(worker: Worker, timeoutMs: number): Promise<Message> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`it is not ready after ${timeoutMs} ms`)), timeoutMs);
    worker.once('message', resolve).once('error', reject);
    worker.once('exit', () => {
      clearTimeout(timer);
      reject(new Error('its thread has ended'));
    });
    worker.once('message', () => clearTimeout(timer));
  });
}
