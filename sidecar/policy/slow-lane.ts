import { type CpuTime, processCpuTime } from '../../runtime/cpu-time.ts';
import { ThreadEnded, type ThreadOptions } from './policy-thread.ts';
import type { JobOutcome } from './protocol.ts';
import { ThreadOnDemand } from './thread-on-demand.ts';
import { failure, jobOf, type Waiting } from './waiting.ts';

/** So many wait at most, and for so many times as long as one may take. */
const MAX_WAITING = 128;
const WAITS = 4;
const REST_AFTER_MS = 2_000;

export interface SlowLaneOptions extends ThreadOptions {
  /** Told of each job that took longer than it may, and of the CPU time that the process had meanwhile, in milliseconds. */
  onTimeout(job: Waiting, cpuMs: number): void;
  /** Told of each that found no room or waited for too long. */
  onRefusal(): void;
  cpuTime?: CpuTime | undefined;
}

/**
 * Evaluations that take long, one at a time, in a thread of their own. Each may take `timeoutMs`. Those that find no room,
 * or wait for too long, are answered with an error.
 */
export class SlowLane {
  readonly #options: SlowLaneOptions;
  readonly #thread: ThreadOnDemand;
  readonly #busy: string;
  /** With what ends its waiting, in the order of arrival. */
  readonly #waiting = new Map<Waiting, NodeJS.Timeout>();
  #running: Waiting | undefined;

  constructor(options: SlowLaneOptions) {
    this.#options = options;
    this.#thread = new ThreadOnDemand(options);
    const wait = WAITS * options.timeoutMs;
    this.#busy = `the evaluation takes long, and too many that do are waiting (${MAX_WAITING} at most, ${wait} ms at most)`;
  }

  get awake(): boolean {
    return this.#thread.awake;
  }

  add(job: Waiting): void {
    const refuse = () => {
      this.#options.onRefusal();
      job.resolve(failure(this.#busy));
    };
    if (this.#waiting.size >= MAX_WAITING) {
      refuse();
      return;
    }
    const tooLate = () => {
      this.#waiting.delete(job);
      refuse();
    };
    this.#waiting.set(job, setTimeout(tooLate, WAITS * this.#options.timeoutMs).unref());
    if (!this.#running) void this.#drain();
  }

  async close(error: Error): Promise<void> {
    this.#running?.reject(error);
    for (let job = this.#next(); job; job = this.#next()) job.reject(error);
    await this.#thread.close();
  }

  async #drain(): Promise<void> {
    for (let job = this.#next(); job; job = this.#next()) {
      this.#running = job;
      await this.#run(job);
    }
    this.#running = undefined;
    this.#thread.restAfter(REST_AFTER_MS);
  }

  #next(): Waiting | undefined {
    for (const [job, timer] of this.#waiting) {
      clearTimeout(timer);
      this.#waiting.delete(job);
      return job;
    }
    return undefined;
  }

  /** Never rejects. */
  async #run(job: Waiting): Promise<void> {
    const { cpuTime = processCpuTime, onTimeout, timeoutMs } = this.#options;
    const began = cpuTime();
    const outcome = await this.#outcome(job, timeoutMs);
    if (outcome !== 'interrupted') {
      job.resolve(outcome);
      return;
    }
    onTimeout(job, cpuTime() - began);
    job.resolve(failure(`the evaluation took longer than ${timeoutMs} ms`));
  }

  /** Not everything can be interrupted: who stands still for as long again loses the thread. */
  async #outcome(job: Waiting, timeoutMs: number): Promise<JobOutcome> {
    try {
      const limits = { slice: { ms: timeoutMs, tries: 1 }, standstillMs: 2 * timeoutMs };
      const [outcome] = await this.#thread.run([jobOf(job)], limits);
      return outcome ?? failure('the evaluation gave no result');
    } catch (error) {
      if (error instanceof ThreadEnded && error.stands) return 'interrupted';
      return failure((error as Error).message);
    }
  }
}
