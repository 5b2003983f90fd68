import type { Failure } from '../../schemas/failures.ts';
import type { UsageReport } from '../../schemas/usage-report.ts';
import type { ProviderOutcome } from '../counters/provider-health.ts';
import { type ProviderNumbers, providerNumbers, retryAfterOf } from './provider-headers.ts';

/** What a usage report says of the provider. */
export interface CallOutcome {
  /** How the call failed; undefined if it did not, or was given up by the caller. */
  failure: Failure | undefined;
  /** What it says of the model's health; undefined: nothing. */
  result: Exclude<ProviderOutcome['result'], 'cleared'> | undefined;
  retryAfterMs: number | undefined;
  numbers: ProviderNumbers[];
}

/** A wait beyond this is a mistake of the provider's, or somebody's joke. */
const MOST_MS = 7 * 24 * 60 * 60 * 1000;

/** A limit that is used up for longer than this is a quota, and not worth waiting for. */
const QUOTA_MS = 15 * 60 * 1000;

/** `now` in epoch milliseconds: headers tell instants. */
export function callOutcome(report: UsageReport, now: number): CallOutcome {
  const headers = { ...report.headers, ...report.error?.headers };
  const numbers = providerNumbers(headers, now);
  if (report.outcome === 'cancelled')
    return { failure: undefined, result: undefined, retryAfterMs: undefined, numbers };
  if (report.outcome === 'succeeded') {
    return { failure: undefined, result: 'succeeded', retryAfterMs: undefined, numbers };
  }
  const failure = failureOf(report.error);
  const usedUp = numbers.filter(({ remaining, resetMs }) => remaining === 0 && resetMs !== undefined);
  const longest = Math.max(0, ...usedUp.map(({ resetMs = 0 }) => resetMs));
  const isQuota = report.error?.type === 'quota' || (failure === 'rate_limit' && longest > QUOTA_MS);
  const told =
    secondsToMs(report.error?.retry_after) ??
    retryAfterOf(headers, now) ??
    (isQuota ? longest || undefined : undefined);
  return {
    failure,
    result: isQuota ? 'quota' : RESULTS[failure],
    retryAfterMs: told === undefined ? undefined : Math.min(MOST_MS, Math.max(1, Math.ceil(told))),
    numbers,
  };
}

/** What the caller did wrong says nothing of the model. */
const RESULTS: Partial<Record<Failure, 'rate_limit' | 'failed'>> = {
  rate_limit: 'rate_limit',
  timeout: 'failed',
  unavailable: 'failed',
};

const secondsToMs = (seconds: number | undefined) => (seconds === undefined ? undefined : seconds * 1000);

const TIMEOUTS = new Set([408, 504]);
const REFUSED = new Set([401, 403]);

function failureOf({ status = 0, type }: NonNullable<UsageReport['error']> = {}): Failure {
  if (type !== undefined) return type === 'quota' ? 'rate_limit' : type;
  if (status === 429) return 'rate_limit';
  if (TIMEOUTS.has(status)) return 'timeout';
  if (status >= 500) return 'unavailable';
  if (REFUSED.has(status)) return 'authentication';
  return status >= 400 ? 'invalid_request' : 'other';
}
