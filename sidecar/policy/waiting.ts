import type { Job, JobResult } from './protocol.ts';

/** A job whose caller waits. */
export interface Waiting extends Job {
  resolve(result: JobResult): void;
  reject(error: Error): void;
}

export const jobOf = ({ decision, entrypoint, input }: Waiting): Job => ({ entrypoint, input, decision });

/** Without the decision that was to be evaluated as well. */
export const alone = <Some extends Job>(job: Some): Some => ({ ...job, decision: undefined });

export const failure = (message: string): JobResult => ({ ok: false, message });
