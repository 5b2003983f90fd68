import { describe, expect, test } from 'vitest';
import { type Attempt, reportOf, reportWithoutOutput } from './attempt-usage.ts';

const ATTEMPT: Attempt = { model: 'lab/m', estimatedInput: 900, streamedBytes: 0, failureKind: undefined };
const NONE = { input: 0, output: 0, cache_read: 0, cache_write: 0 };
const event = (more: object) => ({
  runId: 'r',
  provider: 'lab',
  model: 'm',
  resolvedRef: 'lab/m',
  assistantTexts: [],
  ...more,
});
const failed = (errorMessage: string) => event({ lastAssistant: { stopReason: 'error', errorMessage } });

test('what the provider counted', () => {
  const usage = {
    input: 10,
    output: 5,
    cacheRead: 3,
    cacheWrite: 2,
    reasoningTokens: 4,
    total: 20,
    cost: { total: 1 },
  };
  expect(reportOf(ATTEMPT, event({ usage, lastAssistant: { stopReason: 'stop' } }))).toEqual({
    outcome: 'succeeded',
    model: 'lab/m',
    usage: { input: 10, output: 5, cache_read: 3, cache_write: 2, reasoning: 4 },
  });
});

describe('a refusal of the provider costs nothing, and says why', () => {
  test.each([
    ['429 Rate limit reached; Retry-After: 120 seconds', { status: 429, type: 'rate_limit', retry_after: 120 }],
    ['429 Rate limit reached', { status: 429, type: 'rate_limit' }],
    ['500 boom', { status: 500, type: 'unavailable' }],
    ['529 {"type":"error"}', { status: 529, type: 'unavailable' }],
    ['401 Incorrect API key provided', { status: 401, type: 'authentication' }],
    ['400 max_tokens is too large', { status: 400, type: 'invalid_request' }],
    ['504 Gateway Timeout', { status: 504, type: 'timeout' }],
    ['Request timed out.', { type: 'timeout' }],
    ['Connection error.', { type: 'unavailable' }],
    ['something else', { type: 'other' }],
  ])('%s', (message, error) => {
    // The text of a refusal is counted as streamed too.
    const report = reportOf({ ...ATTEMPT, streamedBytes: 'status' in error ? 80 : 0 }, failed(message));
    expect(report).toEqual({ outcome: 'failed', model: 'lab/m', usage: NONE, error });
  });
});

test('an answer that was broken off costs its input, and what came of it', () => {
  const begun = { ...ATTEMPT, streamedBytes: 500 };
  const aborted = event({ assistantTexts: ['x'.repeat(40)], lastAssistant: { stopReason: 'aborted' } });
  expect(reportOf(begun, aborted)).toEqual({
    outcome: 'cancelled',
    model: 'lab/m',
    usage: { ...NONE, input: 900, output: 10 },
  });
  expect(reportOf(ATTEMPT, event({ lastAssistant: { stopReason: 'aborted' } })).usage).toEqual(NONE);
});

test('calls that were answered before one that failed are reported as they were counted', () => {
  const { outcome, usage } = reportOf(ATTEMPT, { ...failed('500 boom'), usage: { input: 7, output: 1 } });
  expect({ outcome, usage }).toEqual({ outcome: 'failed', usage: { ...NONE, input: 7, output: 1 } });
});

test('an attempt of whose output nothing is told', () => {
  expect(reportWithoutOutput({ ...ATTEMPT, failureKind: 'timeout' }, 'gone')).toEqual({
    outcome: 'failed',
    model: 'lab/m',
    usage: NONE,
    error: { type: 'timeout' },
  });
});
