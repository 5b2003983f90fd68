/** What the main thread and the evaluation thread say to each other. */

export interface ThreadData {
  wasm: Uint8Array<ArrayBuffer>;
  /** JSON text of `data`. */
  data: string;
  memoryPages: number;
  /** Two 32-bit numbers, see `DONE` and `LOADING`. */
  progress: SharedArrayBuffer;
}

/** How many jobs of the running batch are done. Tells which job hangs when the batch does. */
export const DONE = 0;
/** 1 while a new instance is made: with megabytes of data that takes longer than a job may. */
export const LOADING = 1;

/** What a policy is made of. */
export interface Contents {
  entrypoints: string[];
  /** The built-ins that it calls outside WASM. */
  builtins: string[];
}

/** The thread's first message: what the policy is made of, or why it cannot be loaded. */
export type Ready = Contents | { error: string };

/** One evaluation: an entrypoint and the JSON text of its input; without one, input is undefined. */
export interface Job {
  entrypoint: string;
  input: string | undefined;
  /** Of a plan: the entrypoint of its decision, to be evaluated as well, for what the plan is likely to come to. */
  decision?: string | undefined;
}

/** Jobs that are answered together. */
export interface Batch {
  jobs: Job[];
  /** Undefined: no job is interrupted. */
  slice: Slice | undefined;
}

/**
 * The thread itself interrupts a job after `ms` milliseconds, at the earliest after half of them, and tries it `tries` times
 * in all: a thread that had to wait for a processor has one when it is interrupted.
 */
export interface Slice {
  ms: number;
  tries: number;
}

/** `value` is absent where the document is undefined; `decision` where none was asked for, or it is not that simple. */
export type JobResult = { ok: true; value?: unknown; decision?: LikelyDecision } | { ok: false; message: string };

/** What a policy made of an outcome that was only likely then. */
interface LikelyDecision {
  /** JSON text. */
  outcome: string;
  value: unknown;
}

/** What a job came to in the thread; `interrupted`: it had no end within its slice. */
export type JobOutcome = JobResult | 'interrupted';
