import type { CpuTime } from '../../runtime/cpu-time.ts';
import { KnownSlow } from './known-slow.ts';
import { PolicyThread, ThreadEnded, type ThreadOptions } from './policy-thread.ts';
import type { Contents, JobOutcome, JobResult, Slice } from './protocol.ts';
import { noneSlow, type SlowCounts } from './slow-counts.ts';
import { SlowLane } from './slow-lane.ts';
import { ThreadOnDemand } from './thread-on-demand.ts';
import { Turns } from './turns.ts';
import { alone, failure, jobOf, type Waiting } from './waiting.ts';

/** What takes longer is ended with its thread. Evaluations of real policies take 5 to 100 µs, of costly ones less than 1 ms. */
const QUICK_MS = 25;
/**
 * The same for those who come after one that took longer: the thread then interrupts a job by itself, which costs a message
 * 80 µs, and saves the 70 ms that a new thread takes.
 */
const WARY: Slice = { ms: 2, tries: 2 };
const WARY_FOR_MS = 10_000;
/**
 * So many wait for their turn at most: a second of real policies at 100 µs each. Who asks beyond would wait for longer than
 * anybody waits for a decision.
 */
const MAX_WAITING = 10_000;
/**
 * A replaced policy keeps its thread for so long after its last evaluation: an answer that is between plan and decision
 * waits for the counters, which have STORE_TIMEOUT_MS (250).
 */
const REST_AFTER_MS = 500;

export interface EvaluatorOptions extends ThreadOptions {
  /** Where evaluations that take long are counted. */
  slowCounts?: SlowCounts;
  /** The process's own, unless a test says another. */
  cpuTime?: CpuTime;
}

/**
 * Evaluates a compiled policy in a thread of its own, many jobs to a message. A job that takes long is moved to a second
 * thread, the slow lane, so that others wait for it for milliseconds only. One that takes longer than `timeoutMs` there is
 * answered with an error.
 */
export class Evaluator {
  readonly contents: Contents;
  readonly #options: EvaluatorOptions;
  readonly #counts: SlowCounts;
  readonly #thread: ThreadOnDemand;
  readonly #slowLane: SlowLane;
  readonly #knownSlow = new KnownSlow();
  readonly #turns = new Turns();
  #running: Waiting[] = [];
  #draining = false;
  #replaced = false;
  #wary = false;
  #waryTimer: NodeJS.Timeout | undefined;
  #closed = false;

  /** Throws if the policy cannot be loaded: not WASM, another ABI, memory it may not have. */
  static async open(options: EvaluatorOptions): Promise<Evaluator> {
    return new Evaluator(options, await PolicyThread.start(options));
  }

  private constructor(options: EvaluatorOptions, thread: PolicyThread) {
    this.#options = options;
    this.#counts = options.slowCounts ?? noneSlow();
    this.contents = thread.contents;
    this.#thread = new ThreadOnDemand(options, thread);
    this.#slowLane = new SlowLane({
      ...options,
      onTimeout: (job, cpuMs) => {
        this.#counts.timed_out += 1;
        // One that loops has the CPU all that time. Where the process had none, the machine stood still, and the next may fare better.
        if (cpuMs > options.timeoutMs / 2) this.#knownSlow.add(job);
      },
      onRefusal: () => {
        this.#counts.refused += 1;
      },
    });
  }

  /** Whether it has a thread now. */
  get awake(): boolean {
    return this.#thread.awake || this.#slowLane.awake;
  }

  /** `decision`: see `Job`. */
  evaluate(entrypoint: string, input: string | undefined, decision?: string): Promise<JobResult> {
    if (this.#closed) return Promise.reject(closedError());
    if (this.#knownSlow.has({ entrypoint, input })) {
      this.#counts.refused += 1;
      const message = `the evaluation took longer than ${this.#options.timeoutMs} ms when it was last asked for`;
      return Promise.resolve(failure(message));
    }
    if (this.#turns.length >= MAX_WAITING) {
      this.#counts.refused += 1;
      return Promise.resolve(failure(`too many evaluations are waiting (${MAX_WAITING} at most)`));
    }
    return new Promise((resolve, reject) => {
      this.#turns.add({ entrypoint, input, decision, resolve, reject });
      if (this.#draining) return;
      this.#draining = true;
      // At the end of this turn of the event loop, so that jobs of all requests that it read go together.
      setImmediate(() => void this.#drain());
    });
  }

  /**
   * Another policy has taken its place. Answers on their way go on with it as long as they take; its thread is ended
   * when none has asked for a while, and one that asks later gets a new thread.
   */
  retire(): void {
    this.#replaced = true;
    if (!this.#draining) this.#thread.restAfter(REST_AFTER_MS);
  }

  /** The same policy in a thread of its own. The caller closes it. */
  another(): Promise<Evaluator> {
    return Evaluator.open(this.#options);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#waryTimer);
    const error = closedError();
    for (const job of [...this.#running.splice(0), ...this.#turns.clear()]) job.reject(error);
    await Promise.all([this.#thread.close(), this.#slowLane.close(error)]);
  }

  async #drain(): Promise<void> {
    while (!this.#turns.empty && !this.#closed) {
      this.#running = this.#turns.next({ wary: this.#wary });
      await this.#run(this.#running);
      this.#running = [];
    }
    this.#draining = false;
    if (this.#replaced) this.#thread.restAfter(REST_AFTER_MS);
  }

  /** Never rejects: each job has its answer afterwards, is in the slow lane, or has another turn. */
  async #run(jobs: Waiting[]): Promise<void> {
    const { timeoutMs } = this.#options;
    // While wary: not everything can be interrupted.
    const limits = this.#wary
      ? { slice: WARY, standstillMs: WARY.ms + timeoutMs }
      : { standstillMs: Math.min(QUICK_MS, timeoutMs) };
    try {
      const asked = this.#wary ? jobs.map(alone) : jobs;
      const outcomes = await this.#thread.run(asked.map(jobOf), limits);
      for (const [index, job] of jobs.entries()) {
        this.#conclude(job, outcomes[index] ?? failure('the evaluation gave no result'));
      }
    } catch (error) {
      if (error instanceof ThreadEnded) this.#lost(jobs, error);
      else for (const job of jobs) job.resolve(failure((error as Error).message));
    }
  }

  #conclude(job: Waiting, outcome: JobOutcome): void {
    if (outcome !== 'interrupted') {
      job.resolve(outcome);
    } else if (!this.#closed) {
      this.#beWary();
      this.#counts.moved += 1;
      // It may be its decision that took long.
      this.#slowLane.add(alone(job));
    }
  }

  /** All go to the next thread, but for the one that ended this one, or could not be interrupted there. */
  #lost(jobs: Waiting[], { at, message, stands }: ThreadEnded): void {
    if (this.#closed) return;
    const culprit = at < 0 || (stands && !this.#wary) ? undefined : jobs[Math.min(at, jobs.length - 1)];
    if (culprit) this.#conclude(culprit, stands ? 'interrupted' : failure(message));
    if (stands) this.#beWary();
    this.#turns.putBack(jobs.filter((job) => job !== culprit));
  }

  #beWary(): void {
    this.#wary = true;
    clearTimeout(this.#waryTimer);
    this.#waryTimer = setTimeout(() => {
      this.#wary = false;
    }, WARY_FOR_MS).unref();
  }
}

const closedError = () => new Error('the policy is closed');
