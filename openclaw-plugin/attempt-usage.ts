import type { LlmOutputEvent } from 'openclaw/plugin-sdk/plugin-entry';
import type { UsageReport } from './sidecar.ts';

/** One call of a model, or several with tools between them, that one decision was made for. */
export interface Attempt {
  model: string;
  /** What the input was taken to be. */
  estimatedInput: number;
  /** Bytes of answers that came in. */
  streamedBytes: number;
  /** As OpenClaw names it, where a call broke off: `timeout`, `aborted`, `connection_reset` and more. */
  failureKind: string | undefined;
}

type Report = Omit<UsageReport, 'tenant_id'>;

const CHARS_PER_TOKEN = 4;

/** What to report of an attempt that OpenClaw told the end of. */
export function reportOf(
  attempt: Attempt,
  { assistantTexts, lastAssistant, resolvedRef, usage }: LlmOutputEvent,
): Report {
  const { errorMessage, stopReason } = asLast(lastAssistant);
  const outcome = stopReason === 'error' ? 'failed' : stopReason === 'aborted' ? 'cancelled' : 'succeeded';
  const counted = {
    input: whole(usage?.input),
    output: whole(usage?.output),
    cache_read: whole(usage?.cacheRead),
    cache_write: whole(usage?.cacheWrite),
    ...(usage?.reasoningTokens && { reasoning: whole(usage.reasoningTokens) }),
  };
  const isCounted = Object.values(counted).some((amount) => amount > 0);
  const error = outcome === 'failed' ? errorOf(errorMessage ?? '', attempt.failureKind) : undefined;
  return {
    outcome,
    model: resolvedRef ?? attempt.model,
    usage: isCounted || outcome === 'succeeded' ? counted : brokenOff(attempt, assistantTexts, error),
    ...(error && { error }),
  };
}

/** For an attempt that ended without a word about its output. */
export function reportWithoutOutput(attempt: Attempt, message: string | undefined): Report {
  const error = errorOf(message ?? '', attempt.failureKind);
  return { outcome: 'failed', model: attempt.model, usage: brokenOff(attempt, [], error), error };
}

/**
 * A provider counts only at the end of its answer, but charges one that was broken off too. Of one that had begun, the
 * estimate of the input and the text that came are reported; one that was refused, or had not begun, has cost nothing.
 */
function brokenOff(
  { estimatedInput, streamedBytes }: Attempt,
  texts: string[],
  error: UsageReport['error'],
): UsageReport['usage'] {
  const chars = texts.reduce((sum, text) => sum + text.length, 0);
  // What a refusal says is counted as streamed as well.
  const begun = chars > 0 || (streamedBytes > 0 && error?.status === undefined);
  const output = Math.ceil(chars / CHARS_PER_TOKEN);
  return { input: begun ? estimatedInput : 0, output: begun ? output : 0, cache_read: 0, cache_write: 0 };
}

const whole = (amount: number | undefined) =>
  amount !== undefined && Number.isFinite(amount) && amount > 0 ? Math.round(amount) : 0;

function asLast(message: unknown): { stopReason?: string; errorMessage?: string } {
  return typeof message === 'object' && message !== null ? message : {};
}

const TYPES: [RegExp, string][] = [
  [/^(408|504|522|524)$/, 'timeout'],
  [/^429$/, 'rate_limit'],
  [/^(401|403)$/, 'authentication'],
  [/^5\d\d$/, 'unavailable'],
  [/^4\d\d$/, 'invalid_request'],
];
const MAX_RETRY_AFTER_S = 86_400;

/** OpenClaw hands on the provider's refusal as text alone: `429 Rate limit reached; Retry-After: 120 seconds`. */
function errorOf(message: string, failureKind: string | undefined): NonNullable<UsageReport['error']> {
  const status = /^(?:HTTP )?([1-5]\d\d)\b/.exec(message)?.[1];
  const retryAfter = /Retry-After:? (\d{1,9})(?:\.\d+)? ?s/i.exec(message)?.[1];
  return {
    ...(status && { status: Number(status) }),
    type: TYPES.find(([pattern]) => status && pattern.test(status))?.[1] ?? withoutStatus(message, failureKind),
    ...(retryAfter && { retry_after: Math.min(Number(retryAfter), MAX_RETRY_AFTER_S) }),
  };
}

function withoutStatus(message: string, failureKind: string | undefined): string {
  if (failureKind === 'timeout' || /time(d )?[- ]?out/i.test(message)) return 'timeout';
  if (failureKind?.startsWith('connection') || /ECONN|fetch failed|connection error|overloaded/i.test(message))
    return 'unavailable';
  return /rate.?limit|too many requests/i.test(message) ? 'rate_limit' : 'other';
}
