import { Worker } from 'node:worker_threads';
import {
  type Batch,
  type Contents,
  DONE,
  type Job,
  type JobOutcome,
  LOADING,
  type Ready,
  type Slice,
  type ThreadData,
} from './protocol.ts';

/** A module may begin with a loop, too. Loading a real policy takes tens of milliseconds. */
const START_TIMEOUT_MS = 10_000;
/** For what built-ins and answers take outside of the policy's own memory. */
const MAX_HEAP_MB = 256;
/** A time-out is counted in so many steps: a pause of the whole process is one step, and no job that stands still. */
const STEPS = 5;

export interface ThreadOptions {
  wasm: Uint8Array<ArrayBuffer>;
  /** JSON text of `data`. */
  data: string;
  /** An evaluation that takes longer is answered with an error. */
  timeoutMs: number;
  /** The most memory a policy may take, in WASM pages of 64 KiB. */
  memoryPages: number;
  /** The compiled `evaluation-thread.js`. */
  threadFile: URL;
}

/** How long a job may take, in milliseconds. */
export interface JobLimits {
  /** Interrupted by the thread, which goes on with the next; undefined: never. */
  slice?: Slice | undefined;
  /** Up to a fifth more, as seen from outside. The thread is of no use afterwards. */
  standstillMs: number;
}

/** The thread has ended, or must be ended, at job `at` of its batch. It serves no more. */
export class ThreadEnded extends Error {
  readonly at: number;
  /** Whether that job took longer than it may. */
  readonly stands: boolean;

  constructor(at: number, message: string, { stands = false } = {}) {
    super(message);
    this.at = at;
    this.stands = stands;
  }
}

/** A thread with a policy loaded. Runs one batch at a time. */
export class PolicyThread {
  readonly contents: Contents;
  readonly #worker: Worker;
  readonly #progress: Int32Array;

  /** Throws if the policy cannot be loaded: not WASM, another ABI, memory it may not have. */
  static async start({ data, memoryPages, threadFile, wasm }: ThreadOptions): Promise<PolicyThread> {
    const progress = new SharedArrayBuffer(8);
    const worker = new Worker(threadFile, {
      workerData: { wasm, data, memoryPages, progress } satisfies ThreadData,
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    });
    try {
      const ready = await oneOf<Ready>(worker, START_TIMEOUT_MS);
      if ('error' in ready) throw new Error(ready.error);
      return new PolicyThread(worker, ready, new Int32Array(progress));
    } catch (error) {
      await worker.terminate();
      throw error;
    }
  }

  private constructor(worker: Worker, contents: Contents, progress: Int32Array) {
    this.#worker = worker;
    this.contents = contents;
    this.#progress = progress;
    // Between batches nobody waits for it; the next batch learns that it has ended.
    worker.on('error', () => {});
  }

  /** The outcomes, in order. Throws `ThreadEnded`. */
  run(jobs: Job[], { slice, standstillMs }: JobLimits): Promise<JobOutcome[]> {
    Atomics.store(this.#progress, DONE, 0);
    if (this.#worker.threadId < 0) return Promise.reject(new ThreadEnded(-1, 'its thread has ended'));
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout;
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        this.#worker.off('message', onMessage).off('error', onError).off('exit', onExit);
        settle();
      };
      const fail = (why: string, stands = false) =>
        finish(() => reject(new ThreadEnded(Atomics.load(this.#progress, DONE), why, { stands })));
      const onMessage = (outcomes: JobOutcome[]) => finish(() => resolve(outcomes));
      const onError = (error: Error) => fail(error.message);
      const onExit = () => fail('its thread has ended');
      // A batch may take longer than one job may.
      const watch = (seen: number, steps: number) => {
        timer = setTimeout(() => {
          const done = Atomics.load(this.#progress, DONE);
          if (done !== seen || Atomics.load(this.#progress, LOADING)) watch(done, 0);
          else if (steps + 1 < STEPS) watch(seen, steps + 1);
          else fail(`the evaluation stands still for ${standstillMs} ms`, true);
        }, standstillMs / STEPS);
      };
      this.#worker.on('message', onMessage).on('error', onError).on('exit', onExit);
      watch(0, 0);
      this.#worker.postMessage({ jobs, slice } satisfies Batch);
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
