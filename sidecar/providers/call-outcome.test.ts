import { describe, expect, test } from 'vitest';
import { type UsageReport, usageReportSchema } from '../../schemas/usage-report.ts';
import { callOutcome } from './call-outcome.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');

const outcomeOf = (error: UsageReport['error'] | undefined, outcome = 'failed') =>
  callOutcome(usageReportSchema.parse({ decision_id: 'd', outcome, ...(error && { error }) }), NOW);

test.each([
  [{ status: 429 }, 'rate_limit', 'rate_limit'],
  [{ status: 408 }, 'timeout', 'failed'],
  [{ status: 504 }, 'timeout', 'failed'],
  [{ status: 500 }, 'unavailable', 'failed'],
  [{ status: 529 }, 'unavailable', 'failed'],
  [{ status: 401 }, 'authentication', undefined],
  [{ status: 403 }, 'authentication', undefined],
  [{ status: 400 }, 'invalid_request', undefined],
  [{ status: 200 }, 'other', undefined],
  [undefined, 'other', undefined],
  [{ type: 'timeout' as const }, 'timeout', 'failed'],
  [{ status: 500, type: 'rate_limit' as const }, 'rate_limit', 'rate_limit'],
  [{ status: 429, type: 'quota' as const }, 'rate_limit', 'quota'],
])('%j is %s', (error, failure, result) => {
  expect(outcomeOf(error)).toMatchObject({ failure, result });
});

test('a success is one, and what the caller gave up says nothing', () => {
  expect(outcomeOf(undefined, 'succeeded')).toMatchObject({ failure: undefined, result: 'succeeded' });
  expect(outcomeOf({ status: 429 }, 'cancelled')).toMatchObject({ failure: undefined, result: undefined });
});

describe('how long to wait', () => {
  const wait = (error: UsageReport['error']) => outcomeOf({ status: 429, ...error }).retryAfterMs;

  test.each([
    [{ retry_after: 30 }, 30_000],
    [{ retry_after: 1.5 }, 1_500],
    [{ retry_after: 0 }, 1],
    [{ retry_after: 30_000_000 }, 7 * 86_400_000],
    [{ headers: { 'Retry-After': '12' } }, 12_000],
    [{ headers: { 'retry-after-ms': '250', 'retry-after': '1' } }, 250],
    [{ headers: { 'retry-after': 'Thu, 01 Jan 2026 00:01:00 GMT' } }, 60_000],
    [{ retry_after: 5, headers: { 'retry-after': '12' } }, 5_000],
    [{ headers: { 'retry-after': 'soon' } }, undefined],
    [{}, undefined],
  ])('%j', (error, expected) => {
    expect(wait(error)).toBe(expected);
  });

  test('of a quota until its limit is whole again', () => {
    const day = { 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '8h0m0s' };
    expect(outcomeOf({ status: 429, headers: day })).toMatchObject({ result: 'quota', retryAfterMs: 8 * 3_600_000 });
    const minute = { 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '20s' };
    expect(outcomeOf({ status: 429, headers: minute })).toMatchObject({
      result: 'rate_limit',
      retryAfterMs: undefined,
    });
  });
});

test('the provider’s numbers are read from either kind of header, whatever came of the call', () => {
  const headers = {
    'Anthropic-RateLimit-Requests-Limit': '50',
    'anthropic-ratelimit-requests-remaining': '49',
    'anthropic-ratelimit-requests-reset': '2026-01-01T00:00:02Z',
    'anthropic-ratelimit-input-tokens-remaining': '29000',
    'anthropic-ratelimit-output-tokens-remaining': 'many',
    'x-ratelimit-remaining-tokens': '149984',
    'x-ratelimit-reset-tokens': '6m0.5s',
    'x-request-id': 'not ours',
  };
  const report = usageReportSchema.parse({ decision_id: 'd', outcome: 'succeeded', headers });
  expect(callOutcome(report, NOW).numbers).toEqual([
    { of: 'requests', limit: 50, remaining: 49, resetMs: 2_000 },
    { of: 'input_tokens', limit: undefined, remaining: 29_000, resetMs: undefined },
    { of: 'tokens', limit: undefined, remaining: 149_984, resetMs: 360_500 },
  ]);
});
