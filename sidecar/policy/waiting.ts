import type { Job, JobResult } from './protocol.ts';

/** A job whose caller waits. */
export interface Waiting extends Job {
  resolve(result: JobResult): void;
  reject(error: Error): void;
}

export const jobOf = ({ entrypoint, input }: Waiting): Job => ({ entrypoint, input });

export const failure = (message: string): JobResult => ({ ok: false, message });
