import { join } from 'node:path';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compiled, packageRoot } from '../../runtime/package-root.ts';
import { TestClock } from '../../test/helpers/clock.ts';
import { tempDir } from '../../test/helpers/temp-dir.ts';
import { type CounterStore, CountersUnavailable, RecordsFull } from '../counters/contract.ts';
import { DecisionMetrics, observeOwed, observeRecordsFull } from '../metrics.ts';
import { readBundle } from '../policy/bundle.ts';
import { Policy } from '../policy/policy.ts';
import { rateLimitHeaders } from '../routes/rate-limit-headers.ts';
import type { Answer } from './answer.ts';
import { Decider } from './decide.ts';
import { Denials } from './denials.ts';
import { OwedJournal } from './owed/journal.ts';
import { RecordsFullAlarm } from './records-full.ts';
import { readRequest } from './request.ts';
import { Revocations } from './revocations.ts';

/** Decisions with `ON_STORE_FAILURE=allow`, on a store that fails in one way or another. */
const PKG = 'test/metered';

const limit = (more: object = {}) => ({
  id: 'bucket',
  subject: { type: 'tenant', id: 'acme' },
  unit: 'tokens',
  kind: 'token_bucket',
  capacity: 2,
  cost: 1,
  refill: { amount: 2, per_seconds: 86_400, mode: 'interval' },
  ...more,
});

const clock = new TestClock(Date.parse('2026-01-01T12:00:00Z'));
let lines: string[];
const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
let policy: Policy;
let owed: OwedJournal;
let recordsFull: RecordsFullAlarm;
let decider: Decider;
let failure: Error;

beforeEach(async () => {
  lines = [];
  failure = new CountersUnavailable('away');
  policy = await Policy.open({
    bundle: await readBundle(join(packageRoot, 'test/policies/metered.tar.gz')),
    config: {},
    timeoutMs: 1_000,
    threadFile: compiled('sidecar/policy/evaluation-thread.js'),
  });
  await setUp({ allow: true });
});

afterEach(async () => {
  await Promise.all([policy.close(), owed.close()]);
});

async function setUp(options: { allow: boolean; maxGrants?: number }): Promise<void> {
  const fails = () => Promise.reject(failure);
  const store = {
    take: fails,
    peek: fails,
    deny: fails,
    settle: fails,
    partitionOf: () => 0,
  } as unknown as CounterStore;
  await owed?.close();
  owed = await OwedJournal.open({ dataDir: await tempDir('owed'), clock, log, ...options });
  recordsFull = new RecordsFullAlarm(clock, log);
  const revocations = new Revocations(store, log);
  const denials = new Denials({ store, clock, log });
  decider = new Decider({ policy: () => policy, store, revocations, denials, owed, recordsFull, clock, log });
}

const request = (input: object) => readRequest(PKG, { tenant_id: 'acme', ...input }, undefined);

const ask = async (input: object) => (await decider.decide(request(input))) as Answer;

const unavailable = { allow: false, reason: 'counters_unavailable', status: 503 };

describe('while the store is away', () => {
  test('a request is allowed as if there were room for the first candidate, and written down', async () => {
    const candidates = [
      { model: 'big', limits: [limit({ id: 'big', capacity: 0 })] },
      { model: 'small', limits: [] },
    ];
    const answer = await ask({ candidates, limits: [limit({ cost: 5 })], force_model: 'big' });
    expect(answer).toMatchObject({ degraded: true, replayed: false, outcome: undefined });
    expect(answer.decision).toMatchObject({ allow: true, reason: 'ok', obligations: { force_model: 'big' } });
    expect(rateLimitHeaders(answer)).toEqual({});
    expect(owed.decision(answer.decisionId)).toMatchObject({ tenantId: 'acme' });
  });

  test('texts show no numbers, not even to a policy that asks for them', async () => {
    const { decision } = await ask({
      limits: [limit()],
      raw_counters: true,
      warnings: ['{percent_used}% of {period}'],
      footer: '{tokens_used} of {tokens_limit}, {tokens_remaining} left, again {reset_time}',
    });
    expect(decision.warnings).toEqual(['unknown% of unknown']);
    expect(decision.obligations.footer).toBe('unknown of unknown, unknown left, again unknown');
  });

  test.each([
    [
      'a plan that refuses',
      { refuse: { reason: 'unknown_model', status: 403, message: '' } },
      'unknown_model',
      undefined,
    ],
    ['a plan that fails', { break_plan: true }, 'policy_error', undefined],
    ['a decision that fails', { break_decision: true }, 'policy_error', undefined],
    ['a forced model that is not the first', { force_model: 'other' }, 'policy_error', undefined],
    ['a policy that refuses what is granted', { refuse_after: true }, 'budget_exceeded', true],
  ])('%s denies, and nothing is written down', async (_, input, reason, degraded) => {
    const answer = await ask({ limits: [limit()], ...input });
    expect(answer.decision).toMatchObject({ allow: false, reason });
    expect(answer.degraded).toBe(degraded);
    expect(owed.pending).toBe(0);
  });

  test('one request id is one decision, also when several come together; for another body a conflict', async () => {
    const one = { limits: [limit()], request_id: 'r' };
    const [first, second] = await Promise.all([ask(one), ask(one)]);
    expect([first?.replayed, second?.replayed]).toEqual([false, true]);
    expect(second?.decisionId).toBe(first?.decisionId);
    expect(await ask(one)).toMatchObject({
      decisionId: first?.decisionId,
      replayed: true,
      degraded: true,
      decision: { allow: true },
    });
    expect(await ask({ ...one, limits: [limit({ cost: 2 })] })).toBe('conflict');
    expect(owed.pending).toBe(1);
  });

  test('a preview is degraded too, and nothing is written down', async () => {
    expect(await decider.preview(request({ limits: [limit()] }))).toMatchObject({
      degraded: true,
      decision: { allow: true },
    });
    expect(owed.pending).toBe(0);
  });

  test('what no longer fits into the journal is denied', async () => {
    await setUp({ allow: true, maxGrants: 2 });
    const answers = [];
    for (let n = 0; n < 4; n++) answers.push(await ask({ limits: [limit()] }));
    expect(answers.map(({ decision }) => decision.allow)).toEqual([true, true, false, false]);
    expect(answers[2]).toMatchObject({ decision: unavailable });
    expect(answers[2]?.degraded).toBeUndefined();
    expect(rateLimitHeaders(answers[2] as Answer)).toEqual({ 'Retry-After': '1' });
  });

  test('deny mode denies', async () => {
    await setUp({ allow: false });
    const answer = await ask({ limits: [limit()] });
    expect(answer).toMatchObject({ decision: unavailable });
    expect(answer.degraded).toBeUndefined();
  });
});

test('too many records are no outage: denied, counted, and said once a minute with what to do', async () => {
  failure = new RecordsFull(7);
  for (let n = 0; n < 3; n++) expect((await ask({ limits: [limit()] })).decision).toMatchObject(unavailable);
  expect([owed.pending, recordsFull.denied]).toEqual([0, 3]);
  const said = () => lines.filter((line) => line.includes('raise MAX_DECISION_RECORDS'));
  expect(said()).toHaveLength(1);
  clock.advance(60_000);
  await ask({ limits: [limit()] });
  expect(said()).toEqual([expect.stringContaining('"denied":1'), expect.stringContaining('"denied":4')]);
});

test('metrics tell of it', async () => {
  const registry = new Registry();
  const metrics = new DecisionMetrics(registry, clock);
  observeOwed(registry, owed);
  observeRecordsFull(registry, recordsFull);
  for (let n = 0; n < 3; n++) metrics.note(PKG, 0, await decider.decide(request({ limits: [limit()] })));
  failure = new RecordsFull(7);
  metrics.note(PKG, 0, await decider.decide(request({ limits: [limit()] })));
  const text = await registry.metrics();
  expect(text).toContain('openclaw_degraded_decisions_total{package="test/metered",allow="true"} 3');
  expect(text).toContain('openclaw_owed_pending 3');
  expect(text).toContain('openclaw_owed_set_aside_total 0');
  expect(text).toContain('openclaw_records_full_total 1');
});
