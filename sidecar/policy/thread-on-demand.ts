import { type JobLimits, PolicyThread, ThreadEnded, type ThreadOptions } from './policy-thread.ts';
import type { Job, JobOutcome } from './protocol.ts';

/** A thread that is started when there is something to do, and ended when there has been nothing for a while. */
export class ThreadOnDemand {
  readonly #options: ThreadOptions;
  #thread: PolicyThread | undefined;
  #restTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ThreadOptions, thread?: PolicyThread) {
    this.#options = options;
    this.#thread = thread;
  }

  get awake(): boolean {
    return this.#thread !== undefined;
  }

  /** One call at a time. Throws `ThreadEnded`, and what goes wrong when a thread starts. The next call has another thread. */
  async run(jobs: Job[], limits: JobLimits): Promise<JobOutcome[]> {
    clearTimeout(this.#restTimer);
    const thread = this.#thread ?? (await this.#start());
    try {
      return await thread.run(jobs, limits);
    } catch (error) {
      if (error instanceof ThreadEnded) await this.#end();
      throw error;
    }
  }

  /** Ends the thread then, unless it is asked before. */
  restAfter(ms: number): void {
    clearTimeout(this.#restTimer);
    this.#restTimer = setTimeout(() => void this.#end(), ms).unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#restTimer);
    await this.#end();
  }

  async #start(): Promise<PolicyThread> {
    const thread = await PolicyThread.start(this.#options);
    if (this.#closed) await thread.end();
    else this.#thread = thread;
    return thread;
  }

  async #end(): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    await thread?.end();
  }
}
