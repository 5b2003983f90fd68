import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compiled, packageRoot } from '../../runtime/package-root.ts';
import { TestClock } from '../../test/helpers/clock.ts';
import { SETTINGS } from '../../test/helpers/counter-settings.ts';
import { tempDir } from '../../test/helpers/temp-dir.ts';
import { type CounterStore, CountersUnavailable } from '../counters/contract.ts';
import { createEmbeddedStore, type Embedded } from '../counters/embedded/open.ts';
import { readBundle } from '../policy/bundle.ts';
import { Policy } from '../policy/policy.ts';
import type { Answer } from './answer.ts';
import { Decider } from './decide.ts';
import { Denials } from './denials.ts';
import { OwedJournal } from './owed/journal.ts';
import { RecordsFullAlarm } from './records-full.ts';
import { readRequest } from './request.ts';
import { Revocations } from './revocations.ts';

const PKG = 'test/metered';
const log = pino({ level: 'silent' });

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
let embedded: Embedded;
let policy: Policy;
let revocations: Revocations;
let decider: Decider;
let owed: OwedJournal;

function deciderOn(store: CounterStore): Decider {
  revocations = new Revocations(store, log);
  const denials = new Denials({ store, clock, log });
  const recordsFull = new RecordsFullAlarm(clock, log);
  return new Decider({ policy: () => policy, store, revocations, denials, owed, recordsFull, clock, log });
}

beforeEach(async () => {
  const bundle = await readBundle(join(packageRoot, 'test/policies/metered.tar.gz'));
  policy = await Policy.open({
    bundle,
    config: {},
    timeoutMs: 1_000,
    threadFile: compiled('sidecar/policy/evaluation-thread.js'),
  });
  embedded = await createEmbeddedStore({ dataDir: await tempDir('decide'), clock, log, settings: SETTINGS });
  owed = await OwedJournal.open({ dataDir: await tempDir('owed'), allow: false, clock, log });
  decider = deciderOn(embedded.store);
});

afterEach(async () => {
  revocations.close();
  await Promise.all([policy.close(), embedded.close(), owed.close()]);
});

const ask = async (input: object) =>
  (await decider.decide(readRequest(PKG, { tenant_id: 'acme', ...input }, undefined))) as Answer;

const preview = (input: object) => decider.preview(readRequest(PKG, { tenant_id: 'acme', ...input }, undefined));

/** What is in use of the bucket, as the store says. */
async function used(): Promise<number | undefined> {
  const { outcome } = await preview({ limits: [limit({ cost: 0 })] });
  return outcome?.limits[0]?.before;
}

async function eventTypes(): Promise<string[]> {
  const entries = await embedded.stream.read(100, 1);
  await embedded.stream.acknowledge(entries.map(({ id }) => id));
  return entries.map(({ event }) => JSON.parse(event ?? '{}').type);
}

describe('a decision', () => {
  test('is allowed while there is room, then denied with the numbers filled in', async () => {
    expect((await ask({ limits: [limit()] })).decision).toMatchObject({ allow: true, reason: 'ok' });
    expect((await ask({ limits: [limit()] })).decision.allow).toBe(true);
    const { decision } = await ask({ limits: [limit()] });
    expect(decision).toMatchObject({ allow: false, reason: 'rate_limited', status: 429 });
    expect(decision.message).toBe(
      '2 of 2 used (100%), 0 left of the daily allowance, again at 2026-01-02T12:00:00.000Z',
    );
    expect(await eventTypes()).toEqual(['consumed', 'consumed', 'denied']);
  });

  test('chooses the first candidate that has room, and may force it', async () => {
    const big = { model: 'big', limits: [limit({ id: 'big', capacity: 0 })] };
    const small = { model: 'small', limits: [limit({ id: 'small' })] };
    const answer = await ask({ candidates: [big, small], force_model: 'small' });
    expect(answer.outcome).toMatchObject({ granted: true, candidate: 'small' });
    expect(answer.decision.obligations).toEqual({ force_model: 'small' });
  });

  test('that the plan refuses takes nothing, and is counted', async () => {
    const answer = await ask({
      limits: [limit()],
      refuse: { reason: 'unknown_model', status: 403, message: 'Which?' },
    });
    expect(answer.decision).toMatchObject({ allow: false, reason: 'unknown_model', status: 403, message: 'Which?' });
    expect(await used()).toBe(0);
    expect(await eventTypes()).toEqual(['denied']);
  });

  test('sees exact numbers only where the plan asks for them', async () => {
    expect((await ask({ limits: [limit()] })).decision.warnings).toEqual([]);
    expect((await ask({ limits: [limit()], raw_counters: true })).decision.warnings).toEqual([
      'bucket: 2 of 2 used, 0 left',
    ]);
  });
});

describe('asked twice with one request id', () => {
  test('it is charged once and says that it is a replay', async () => {
    const first = await ask({ limits: [limit()], request_id: 'r' });
    const second = await ask({ limits: [limit()], request_id: 'r' });
    expect(second).toMatchObject({ replayed: true, decisionId: first.decisionId, decision: { allow: true } });
    expect(await used()).toBe(1);
  });

  test('for another body it is a conflict', async () => {
    await ask({ limits: [limit()], request_id: 'r' });
    expect(await ask({ limits: [limit({ cost: 2 })], request_id: 'r' })).toBe('conflict');
  });
});

describe('a decision that refuses what was granted gives everything back', () => {
  test.each([[{}], [{ request_id: 'r' }]])('with %j', async (more) => {
    const answer = await ask({ limits: [limit()], refuse_after: true, ...more });
    expect(answer.decision).toMatchObject({ allow: false, reason: 'budget_exceeded' });
    expect(await used()).toBe(0);
    expect(await eventTypes()).toEqual(['consumed', 'voided']);
  });

  test('also when the store is away for a while, and once', async () => {
    let away = true;
    const flaky: CounterStore = Object.create(embedded.store, {
      settle: {
        value: (request: Parameters<CounterStore['settle']>[0]) =>
          away ? Promise.reject(new CountersUnavailable('away')) : embedded.store.settle(request),
      },
    });
    for (const method of ['take', 'peek', 'deny', 'partitionOf'] as const) {
      Object.defineProperty(flaky, method, { value: embedded.store[method].bind(embedded.store) });
    }
    decider = deciderOn(flaky);
    expect((await ask({ limits: [limit()], refuse_after: true })).decision.allow).toBe(false);
    expect(await used()).toBe(1);
    away = false;
    await expect.poll(() => used(), { timeout: 5_000 }).toBe(0);
    expect(revocations.pending).toBe(0);
  });
});

describe('a policy that fails denies with policy_error, and nothing stays taken', () => {
  test.each([
    ['a plan that is undefined', { break_plan: true }],
    ['a plan of another shape', { plan: { limits: 'none' } }],
    ['a negative cost', { limits: [limit({ cost: -1 })] }],
    ['a fractional cost', { limits: [limit({ cost: 0.5 })] }],
    ['a cost that is text', { limits: [limit({ cost: '1' })] }],
    ['a limit without a rate', { limits: [limit({ refill: undefined })] }],
    ['a misspelt key', { limits: [limit({ capcity: 5 })] }],
    ['two limits of one name', { limits: [limit(), limit()] }],
    ['a decision that is undefined', { limits: [limit()], break_decision: true }],
    ['a decision of another shape', { limits: [limit()], break_decision: 'shape' }],
    ['a decision with two values', { limits: [limit()], break_decision: 'conflict' }],
    ['a decision that overrules a refusal', { limits: [limit({ cost: 3 })], break_decision: 'overrule' }],
    ['a model that was not chosen', { limits: [limit()], force_model: 'other' }],
  ])('%s', async (_, input) => {
    const { decision } = await ask(input);
    expect(decision).toMatchObject({ allow: false, reason: 'policy_error', status: 500 });
    expect(await used()).toBe(0);
  });
});

test('a store that is away denies with counters_unavailable', async () => {
  const away = () => Promise.reject(new CountersUnavailable('away'));
  const store = { take: away, deny: away, settle: away, partitionOf: () => 0 } as unknown as CounterStore;
  decider = deciderOn(store);
  expect((await ask({ limits: [limit()] })).decision).toMatchObject({
    allow: false,
    reason: 'counters_unavailable',
    status: 503,
  });
});

test('a preview takes nothing and leaves no event', async () => {
  expect((await preview({ limits: [limit()] })).decision.allow).toBe(true);
  expect((await preview({ limits: [limit({ cost: 3 })] })).decision).toMatchObject({
    allow: false,
    reason: 'rate_limited',
  });
  expect(await used()).toBe(0);
  expect(await eventTypes()).toEqual([]);
});
