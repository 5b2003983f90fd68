import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../runtime/log.ts';

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 10_000;

export interface RetryOptions {
  /** What is retried, for the log. */
  what: string;
  log: Log;
  /** No more waiting once it is aborted: the last failure is thrown. There is always one attempt. */
  signal?: AbortSignal;
  /** What is worth another try; everything by default. Anything else is thrown. */
  retryable?: (error: unknown) => boolean;
  /** Waits, or less once the signal is aborted. */
  pause?: (milliseconds: number, signal?: AbortSignal) => Promise<unknown>;
}

/**
 * Tries until it works. Waits longer each time, up to 10 s, by a random share so that many workers do not come back
 * together. An outage is one line in the log when it begins, one for each other error in it, and one when it is over.
 */
export async function retry<Result>(attempt: () => Promise<Result>, options: RetryOptions): Promise<Result> {
  const { log, pause = sleepUnless, retryable = () => true, signal, what } = options;
  let said: string | undefined;
  for (let failures = 0; ; failures++) {
    try {
      const result = await attempt();
      if (failures) log.info({ failures }, `${what} works again`);
      return result;
    } catch (error) {
      if (!retryable(error)) throw error;
      const message = describe(error);
      if (message !== said) log.error({ err: error }, `${what} does not work; trying on`);
      said = message;
      await pause(waitMs(failures), signal);
      if (signal?.aborted) throw error;
    }
  }
}

function waitMs(failures: number): number {
  const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures);
  return longest * (0.5 + Math.random() / 2);
}

const sleepUnless = (milliseconds: number, signal?: AbortSignal) =>
  sleep(milliseconds, undefined, signal && { signal }).catch(() => {});

const describe = (error: unknown) => (error instanceof Error ? `${error.name}: ${error.message}` : String(error));
