import pRetry from 'p-retry';
import { isPassing } from './ask.ts';

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
/** Half a minute in all. */
const TRIES = 6;

export interface Patience {
  /** Go on for ever, instead of half a minute. */
  endless: boolean;
  /** Waits no longer once it is aborted, and throws. */
  signal: AbortSignal;
  say: (line: string) => void;
}

/** Repeats what fails because a service is away, after waits that double up to half a minute. Says why, once for each cause. */
export function patiently<Result>(attempt: () => Promise<Result>, { endless, say, signal }: Patience): Promise<Result> {
  let said: string | undefined;
  return pRetry(attempt, {
    retries: endless ? Number.POSITIVE_INFINITY : TRIES,
    minTimeout: FIRST_WAIT_MS,
    maxTimeout: LONGEST_WAIT_MS,
    randomize: true,
    signal,
    shouldRetry: ({ error }) => isPassing(error),
    onFailedAttempt: ({ error, retriesLeft }) => {
      if (isPassing(error) && retriesLeft > 0 && error.message !== said) say(`${error.message}; trying again`);
      said = error.message;
    },
  });
}
