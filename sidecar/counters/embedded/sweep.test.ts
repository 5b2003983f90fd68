import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { limit, Workbench } from '../../../test/conformance/workbench.ts';
import { TestClock } from '../../../test/helpers/clock.ts';
import { SETTINGS } from '../../../test/helpers/counter-settings.ts';
import { tempDir } from '../../../test/helpers/temp-dir.ts';
import { MAX_BUDGET_GRANTS } from '../budget-grant.ts';
import { RECORD_TTL_MS } from '../contract.ts';
import { decideBudgetGrant } from './budget-grants.ts';
import { apply } from './effect.ts';
import { createEmbeddedStore } from './open.ts';
import { emptyState, type State } from './state.ts';
import { Sweep } from './sweep.ts';
import { decideTake } from './take.ts';

const START = new TestClock().now();
const MINUTE = 60_000;

/** Takes of as many tenants, one a second, each with a request id, with a sweep after each as the store has it. */
function run(state: State, takes: number, from: number, budget: number): { most: number } {
  const sweep = new Sweep(state);
  let most = 0;
  for (let each = 0; each < takes; each++) {
    const now = from + each * 1_000;
    const { effect } = decideTake(
      state,
      {
        decisionId: `d${from}-${each}`,
        plan: { limits: [limit({ refill: { per_seconds: 60 } })], candidates: [], raw_counters: false },
        event: { tenant_id: `t${from}-${each}` },
        fingerprint: '',
        requestId: 'q',
      },
      SETTINGS,
      now,
    );
    apply(state, effect ?? {});
    for (const number of state.stream.keys()) state.stream.delete(number);
    sweep.run(now, budget);
    most = Math.max(most, state.counters.size);
  }
  return { most };
}

describe('memory is bounded by what is still in use', () => {
  test('counters that can only be full are dropped, however many come after them', () => {
    const state = emptyState();
    const { most } = run(state, 20_000, START, 8);
    expect(most).toBeLessThan(200);
  });

  test('records go after their 24 hours, with their request ids, and not before', () => {
    const state = emptyState();
    run(state, 1_000, START, 8);
    expect(state.records.size).toBe(1_000);
    new Sweep(state).run(START + RECORD_TTL_MS - 1, 10_000);
    expect(state.records.size).toBe(1_000);
    new Sweep(state).run(START + RECORD_TTL_MS + 499_000, 10_000);
    expect(state.records.size).toBe(500);
    expect(state.requests.size).toBe(500);
    run(state, 1_000, START + 2 * RECORD_TTL_MS, 2);
    expect(state.records.size).toBe(1_000);
    expect([...state.records.values()].every(({ decidedAt }) => decidedAt >= START + 2 * RECORD_TTL_MS)).toBe(true);
  });

  test('boosts of budgets go when they are over, and not before', () => {
    const state = emptyState();
    for (let each = 0; each < 100; each++) {
      const names = { id: String(each), tenantId: 't', userId: 'u', reason: '', by: '' };
      const grant = { ...names, tokens: 1, expiresAt: START + 1 + each };
      apply(state, decideBudgetGrant(state, grant, MAX_BUDGET_GRANTS, START).effect ?? {});
    }
    new Sweep(state).run(START, 1_000);
    expect(state.budgetGrants.size).toBe(100);
    const sweep = new Sweep(state);
    for (let each = 0; each < 20; each++) sweep.run(START + 50, 8);
    expect([...state.budgetGrants.keys()]).toEqual(Array.from({ length: 50 }, (_, each) => String(each + 50)));
  });

  test('no call looks at more than it was given', () => {
    const state = emptyState();
    run(state, 1_000, START, 0);
    new Sweep(state).run(START + 10 * RECORD_TTL_MS, 8);
    expect(state.counters.size).toBe(992);
    expect(state.records.size).toBe(992);
  });
});

test('a grant is remembered for 24 hours, to the millisecond', async () => {
  const clock = new TestClock();
  const log = pino({ level: 'silent' });
  const bench = new Workbench({
    ...(await createEmbeddedStore({ dataDir: await tempDir('counters'), clock, log, settings: SETTINGS })),
    clock,
  });
  const reserved = limit({ capacity: 100, settles: true });
  const { id } = await bench.taken(reserved, { requestId: 'q' });
  const { id: left } = await bench.taken(reserved);
  clock.advance(RECORD_TTL_MS - 1);
  expect(await bench.take(reserved, { requestId: 'q' })).toMatchObject({ kind: 'replayed', decisionId: id });
  expect(await bench.settle(id, 1)).toMatchObject({ kind: 'settled' });
  clock.advance(1);
  expect(await bench.settle(left, 1)).toEqual({ kind: 'unknown' });
  expect(await bench.store.record(id)).toBeUndefined();
  await bench.taken(reserved, { requestId: 'q' });
  await bench.close();
});

test('a swept store answers as one that was not', async () => {
  const clock = new TestClock();
  const log = pino({ level: 'silent' });
  const bench = new Workbench({
    ...(await createEmbeddedStore({ dataDir: await tempDir('counters'), clock, log, settings: SETTINGS })),
    clock,
  });
  const minutely = limit({ id: 'minutely', refill: { amount: 4, per_seconds: 60 } });
  const daily = limit({ id: 'daily' });
  await bench.taken({ ...minutely, cost: 10 });
  await bench.taken({ ...daily, cost: 10 });
  for (let passed = 0; passed < 3; passed++) {
    clock.advance(MINUTE - 1);
    for (let other = 0; other < 20; other++) await bench.taken(limit(), { event: { tenant_id: `${passed} ${other}` } });
    expect(await bench.used(minutely)).toBe(10 - passed * 4);
    clock.advance(1);
    await bench.store.deny({ decisionId: bench.newId(), event: { tenant_id: 'x' }, reason: 'unidentified' });
    expect(await bench.used(minutely)).toBe(Math.max(0, 10 - (passed + 1) * 4));
  }
  expect(await bench.used(daily)).toBe(10);
  await bench.close();
});
