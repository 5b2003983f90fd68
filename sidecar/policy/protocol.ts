/** What the main thread and the evaluation thread say to each other. */

export interface ThreadData {
  wasm: Uint8Array<ArrayBuffer>;
  /** JSON text of `data`. */
  data: string;
  memoryPages: number;
  /** One 32-bit counter: how many jobs of the running batch are done. Tells which job hangs when the batch does. */
  progress: SharedArrayBuffer;
}

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
}

/** Jobs that are answered together. */
export interface Batch {
  jobs: Job[];
  /** The thread itself interrupts a job after so many milliseconds, at the earliest after half of them; undefined: never. */
  sliceMs: number | undefined;
}

/** `value` is absent where the document is undefined. */
export type JobResult = { ok: true; value?: unknown } | { ok: false; message: string };

/** What a job came to in the thread; `interrupted`: it had no end within its slice. */
export type JobOutcome = JobResult | 'interrupted';
