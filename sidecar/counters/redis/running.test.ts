import { pino } from 'pino';
import { createClient } from 'redis';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../runtime/clock.ts';
import type { Limit, LimitOutcome } from '../../../schemas/policy-io.ts';
import { RedisStores } from '../../../test/conformance/stores/redis.ts';
import { calendarWindow, limit, plan } from '../../../test/conformance/workbench.ts';
import { SETTINGS } from '../../../test/helpers/counter-settings.ts';
import { type RedisServer, startRedis } from '../../../test/helpers/redis-server.ts';
import { atTestEnd } from '../../../test/helpers/test-end.ts';
import { newDecisionId } from '../../decision/decision-id.ts';
import type { CounterStore, TakeRequest } from '../contract.ts';
import { connectRedis } from './connection.ts';
import { RunningCounters } from './running.ts';
import { loadScripts } from './scripts.ts';
import { RedisStore } from './store.ts';

const log = pino({ level: 'silent' });
const STREAM = 'ocr:{p0}:usage';
const DAY_MS = 86_400_000;

/** How each call of the take script was sent. */
type Sent = 'with its plan' | 'without';

let redis: RedisServer;
let ask: (...command: string[]) => Promise<unknown>;
beforeAll(async () => {
  redis = await startRedis();
  const client = createClient({ url: redis.url });
  client.on('error', () => {});
  await client.connect();
  ask = (...command) => client.sendCommand(command);
  atTestEnd(() => client.close());
});
beforeEach(async () => {
  await ask('FLUSHALL');
});

/** A sidecar's store, and what it sends. */
async function open(): Promise<{ store: CounterStore; sent: Sent[] }> {
  const connection = await connectRedis(redis.url, 10_000, log);
  atTestEnd(() => connection.close());
  const sent: Sent[] = [];
  const run: typeof connection.run = (script, keys, args) => {
    if (script.name === 'take-3' && args[0] === 'take') {
      sent.push(args[5]?.startsWith('{"adds"') ? 'without' : 'with its plan');
    }
    return connection.run(script, keys, args);
  };
  const bound = { ...bind(connection), run };
  return { store: new RedisStore(bound, loadScripts(), systemClock, SETTINGS), sent };
}

const bind = (connection: Awaited<ReturnType<typeof connectRedis>>) => ({
  callsArePaid: connection.callsArePaid,
  get: connection.get.bind(connection),
  getFields: connection.getFields.bind(connection),
  ping: connection.ping.bind(connection),
  close: connection.close.bind(connection),
});

const request = (limits: Limit[], more: Partial<TakeRequest> = {}): TakeRequest => ({
  decisionId: newDecisionId(systemClock.now(), 0),
  plan: plan(...limits),
  event: { tenant_id: 'acme', model: 'm' },
  fingerprint: '',
  ...more,
});

async function take(store: CounterStore, limits: Limit[], more: Partial<TakeRequest> = {}) {
  const result = await store.take(request(limits, more));
  if (result.kind !== 'taken' && result.kind !== 'refused') throw new Error(result.kind);
  return { ...result, limits: result.outcome.limits };
}

const used = async (store: CounterStore, limits: Limit[]) =>
  (await store.peek(plan(...limits), 'acme')).outcome.limits.map((each) => each.before);

const events = async () => {
  const entries = (await ask('XRANGE', STREAM, '-', '+')) as [string, [string, string]][];
  return entries.map(([, [, json]]) => JSON.parse(json));
};

const THREE = [
  limit({ id: 'tokens', capacity: 1_000, cost: 30, billed: true, refill: { amount: 1_000 } }),
  limit({ id: 'requests', unit: 'requests', capacity: 10, subject: { type: 'user', id: 'eve' } }),
  calendarWindow({ id: 'day', unit: 'requests', capacity: 100, subject: { type: 'user', id: 'eve' } }),
];

describe('a plan whose counters run', () => {
  test('is sent once, and what is sent after it says and leaves the same', async () => {
    const { sent, store } = await open();
    const outcomes: LimitOutcome[][] = [];
    for (let n = 0; n < 4; n++) outcomes.push((await take(store, THREE)).limits);
    expect(sent).toEqual(['with its plan', 'without', 'without', 'without']);
    for (const [n, limits] of outcomes.entries()) {
      expect(limits.map(({ before }) => before)).toEqual([30 * n, n, n]);
      expect(limits.map((each) => ({ ...each, before: 0, used: 0, remaining: 0, used_percent: 0 }))).toEqual(
        outcomes[0]?.map((each) => ({ ...each, before: 0, used: 0, remaining: 0, used_percent: 0 })),
      );
    }
    const [first, ...rest] = await events();
    for (const [n, event] of rest.entries()) {
      const moved = { id: event.id, decision_id: event.decision_id, decided_at: event.decided_at, at: event.at };
      const limits = first.limits.map((each: { amount: number; period_start: number }) => ({
        ...each,
        before: (n + 1) * each.amount,
        after: (n + 2) * each.amount,
      }));
      expect(event).toEqual({ ...first, ...moved, limits });
      expect(event.id).toBe(`${event.decision_id}:consumed`);
    }
  });

  test('says when nothing is in use any more, also where that takes several fills', async () => {
    const { sent, store } = await open();
    const slow = [limit({ capacity: 100, cost: 15, refill: { amount: 10 } })];
    const [two, three] = [await take(store, slow), await take(store, slow)].map(({ limits }) => limits[0]?.reset_at);
    expect(sent).toEqual(['with its plan', 'without']);
    expect((three as number) - (two as number)).toBe(86_400_000);
  });

  test('is known to all plans that draw on the same counters', async () => {
    const { sent, store } = await open();
    await take(store, THREE);
    await take(store, [THREE[1] as Limit]);
    await take(store, [{ ...(THREE[0] as Limit), cost: 7 }]);
    expect(sent).toEqual(['with its plan', 'without', 'without']);
    expect(await used(store, THREE)).toEqual([37, 2, 1]);
  });

  test('is one counter for those who come together', async () => {
    const { store } = await open();
    await take(store, THREE);
    const results = await Promise.all(Array.from({ length: 20 }, () => take(store, THREE)));
    expect(results.filter(({ kind }) => kind === 'taken')).toHaveLength(9);
    expect(await used(store, THREE)).toEqual([300, 10, 10]);
    expect(await events()).toHaveLength(1 + 20);
  });

  test('is asked for again where there is no room, and refused as ever', async () => {
    const { sent, store } = await open();
    const small = [limit({ capacity: 3 })];
    for (let n = 0; n < 3; n++) expect((await take(store, small)).kind).toBe('taken');
    sent.length = 0;
    const refused = await take(store, small);
    expect(refused).toMatchObject({ kind: 'refused', limits: [{ granted: false, used: 3 }] });
    await take(store, small);
    // What is full is remembered as well: nobody who is refused again asks twice.
    expect(sent.slice(-2)).toEqual(['with its plan', 'with its plan']);
    expect((await events()).map(({ type }) => type)).toEqual(['consumed', 'consumed', 'consumed', 'denied', 'denied']);
  });

  test('announces a threshold once, whoever reaches it', async () => {
    const [one, other] = [await open(), await open()];
    const watched = [limit({ capacity: 4, thresholds: [50, 75] })];
    const crossed = [];
    for (const { store } of [one, other, one, other]) crossed.push((await take(store, watched)).limits[0]?.crossed);
    expect(crossed).toEqual([[], [50], [75], []]);
    expect(await used(one.store, watched)).toEqual([4]);
  });

  test('is asked for again where another process has changed the counter, and charged once', async () => {
    const [one, other] = [await open(), await open()];
    const watched = [limit({ capacity: 10, thresholds: [20] })];
    await take(one.store, watched);
    expect((await take(other.store, watched)).limits[0]?.crossed).toEqual([20]);
    one.sent.length = 0;
    expect((await take(one.store, watched)).limits).toMatchObject([{ before: 2, used: 3, crossed: [] }]);
    expect(one.sent).toEqual(['without', 'with its plan']);
    await ask('FLUSHALL');
    expect((await take(one.store, watched)).limits).toMatchObject([{ before: 0, used: 1 }]);
    expect(one.sent).toEqual(['without', 'with its plan', 'without', 'with its plan']);
  });

  test('is asked for again where another process has begun it anew, and stays in that one’s period', async () => {
    const [one, other] = [await open(), await open()];
    const bucket = [limit()];
    await take(one.store, bucket);
    await ask('DEL', ...((await ask('KEYS', '*:c:*')) as string[]));
    await new Promise((resolve) => setTimeout(resolve, 5));
    await take(other.store, bucket);
    await take(one.store, bucket);
    expect(one.sent).toEqual(['with its plan', 'without', 'with its plan']);
    const began = (await events()).map(({ limits: [each] }) => each.period_start);
    expect(began[2]).toBe(began[1]);
    expect(began[2]).toBeGreaterThan(began[0]);
  });

  test('is in the period that the store’s clock is in, whatever its caller thinks', async () => {
    const { clock, store } = await (await RedisStores.start()).openWithClock();
    if (!clock) throw new Error('its clock cannot be set');
    const second = [limit({ refill: { per_seconds: 1 } })];
    const start = clock.now();
    await take(store, second);
    expect((await take(store, second)).limits).toMatchObject([{ before: 1 }]);
    // By less than a call may take: else it would be late.
    await clock.set(start + 1_000);
    expect((await take(store, second)).limits).toMatchObject([{ before: 0 }]);
    await clock.set(start + DAY_MS + 30 * 60_000);
    const day = [calendarWindow()];
    await take(store, day);
    expect((await take(store, day)).limits).toMatchObject([{ before: 1, reset_at: start + 2 * DAY_MS }]);
    // Back by more than an hour: what was used counts for the day that the clock shows.
    await clock.set(start + DAY_MS - 90 * 60_000);
    expect((await take(store, day)).limits).toMatchObject([{ before: 2, reset_at: start + DAY_MS }]);
  });

  test('is begun anew when its period is over', async () => {
    const { sent, store } = await open();
    const short = [limit({ capacity: 3, refill: { amount: 3, per_seconds: 1 } })];
    const first = await take(store, short);
    await take(store, short);
    expect(sent).toEqual(['with its plan', 'without']);
    const reset = first.limits[0]?.reset_at as number;
    await new Promise((resolve) => setTimeout(resolve, reset - systemClock.now() + 20));
    const next = await take(store, short);
    expect(next.limits).toMatchObject([{ before: 0, used: 1 }]);
    expect(next.limits[0]?.reset_at).toBeGreaterThan(reset);
  });

  test('gives back what was taken without it, once', async () => {
    const { store } = await open();
    await take(store, THREE);
    const second = request(THREE);
    const result = await store.take(second);
    if (result.kind !== 'taken') throw new Error(result.kind);
    const { receipt } = result;
    const voided = { decisionId: second.decisionId, kind: 'void', actual: {}, fingerprint: 'v', receipt } as const;
    expect(await store.settle(voided)).toMatchObject({
      kind: 'voided',
      changes: [{ amount: -30 }, { amount: -1 }, { amount: -1 }],
    });
    expect(await store.settle(voided)).toMatchObject({ kind: 'voided', replayed: true });
    expect(await used(store, THREE)).toEqual([30, 1, 1]);
  });

  test('is closed by the gate of its key', async () => {
    const { sent, store } = await open();
    const gated = { keyGate: 'key:k' };
    await take(store, THREE, gated);
    await store.setGate({ tenantId: 'acme', scope: 'tenant', name: 'key:k' }, Number.MAX_SAFE_INTEGER);
    expect(await store.take(request(THREE, { ...gated, quiet: true }))).toMatchObject({ kind: 'closed' });
    expect(sent.splice(0)).toEqual(['with its plan', 'without']);
    expect(await store.take(request(THREE, gated))).toMatchObject({ kind: 'closed' });
    expect((await events()).slice(1)).toMatchObject([
      { type: 'denied', outcome: { reason: 'revoked_key' }, limits: [] },
    ]);
    expect(sent.splice(0)).toEqual(['without', 'with its plan']);
    await take(store, THREE);
    expect(sent).toEqual(['without']);
    expect(await used(store, THREE)).toEqual([60, 2, 2]);
  });

  test('may name its counters in any order, and by any name', async () => {
    const { sent, store } = await open();
    const [tokens, requests, day] = THREE as [Limit, Limit, Limit];
    const limits = [{ ...requests, id: 'r 100%s "ü"' }, tokens, { ...day, id: '%d' }];
    for (let n = 0; n < 3; n++) {
      const { limits: outcomes } = await take(store, limits);
      expect(outcomes.map(({ before, id }) => [id, before])).toEqual([
        ['r 100%s "ü"', n],
        ['tokens', 30 * n],
        ['%d', n],
      ]);
    }
    expect(sent).toEqual(['with its plan', 'without', 'without']);
    for (const [n, event] of (await events()).entries()) {
      expect(
        Object.fromEntries(event.limits.map((each: LimitOutcome & { after: number }) => [each.id, each.after])),
      ).toEqual({
        'r 100%s "ü"': n + 1,
        tokens: 30 * (n + 1),
        '%d': n + 1,
      });
    }
  });

  test('sees what another has taken in the same call, with its plan or without', async () => {
    const { store } = await open();
    await take(store, THREE);
    const other: Limit[] = [{ ...(THREE[0] as Limit), cost: 7, settles: true }];
    const mixed = [THREE, other, THREE, other, other, THREE].map((limits) => take(store, limits));
    const before = (await Promise.all(mixed)).map(({ limits }) => limits[0]?.before);
    expect(before).toEqual([30, 60, 67, 97, 104, 111]);
    expect(await used(store, THREE)).toEqual([141, 4, 4]);
  });
});

test.each([
  ['is settled later', [limit({ settles: true })]],
  ['counts twice in one counter', [limit({ id: 'a' }), limit({ id: 'a' })]],
  ['is filled all the time', [limit({ refill: { mode: 'continuous', amount: 1, per_seconds: 3_600 } })]],
  ['carries over what is left', [calendarWindow({ window: { rollover: { max: 5 } } })]],
  ['costs nothing', [limit({ cost: 0 })]],
])('what %s is sent with its plan each time', async (_, limits) => {
  const { sent, store } = await open();
  for (let n = 0; n < 3; n++) await take(store, limits);
  expect(sent).toEqual(['with its plan', 'with its plan', 'with its plan']);
});

test('what cannot be sent is a rejection, as ever, and takes nothing', async () => {
  const { sent, store } = await open();
  await take(store, THREE);
  const unnameable = store.take(request([limit({ id: '\ud800' })]));
  await expect(unnameable).rejects.toThrow(URIError);
  expect(sent).toEqual(['with its plan']);
});

test('so is what has a request id, of which a record is kept', async () => {
  const { sent, store } = await open();
  for (let n = 0; n < 3; n++) await take(store, THREE, { requestId: `r${n}` });
  expect(sent).toEqual(['with its plan', 'with its plan', 'with its plan']);
});

test('of more subjects than are remembered those are let in that come again', () => {
  const running = new RunningCounters();
  const counter = '1:1000:0:1000:0:0';
  const known = (key: string) => running.of(key, 't:bucket', limit(), 2_000) !== undefined;
  for (let n = 0; n < 20_000; n++) running.learn(`key ${n}`, 't:bucket', counter);
  running.learn('new', 't:bucket', counter);
  expect([known('key 0'), known('key 19999'), known('new')]).toEqual([true, true, false]);
  running.learn('new', 't:bucket', counter);
  expect(known('new')).toBe(true);
});
