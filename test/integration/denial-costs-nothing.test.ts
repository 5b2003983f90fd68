import { join } from 'node:path';
import { pino } from 'pino';
import { createClient, RESP_TYPES } from 'redis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../runtime/clock.ts';
import { compiled, packageRoot } from '../../runtime/package-root.ts';
import { MAX_AMOUNT } from '../../schemas/amounts.ts';
import { type Plan, planSchema } from '../../schemas/policy-io.ts';
import { connectRedis } from '../../sidecar/counters/redis/connection.ts';
import { loadScripts } from '../../sidecar/counters/redis/scripts.ts';
import { RedisStore } from '../../sidecar/counters/redis/store.ts';
import type { Answer } from '../../sidecar/decision/answer.ts';
import { Decider } from '../../sidecar/decision/decide.ts';
import { Denials } from '../../sidecar/decision/denials.ts';
import { OwedJournal } from '../../sidecar/decision/owed/journal.ts';
import { RecordsFullAlarm } from '../../sidecar/decision/records-full.ts';
import { readRequest } from '../../sidecar/decision/request.ts';
import { Revocations } from '../../sidecar/decision/revocations.ts';
import { readBundle } from '../../sidecar/policy/bundle.ts';
import { Policy } from '../../sidecar/policy/policy.ts';
import { SETTINGS } from '../helpers/counter-settings.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const STREAM = 'ocr:{p0}:usage';
const DENIALS = 100;
const GATE = { tenantId: 'acme', scope: 'tenant', name: 'cooldown:big' } as const;
const KEY_GATE = { tenantId: 'acme', scope: 'tenant', name: 'key:k1' } as const;
const log = pino({ level: 'silent' });

const limit = (id: string, capacity: number, more: object) => ({
  id,
  subject: { type: 'tenant', id: 'acme' },
  unit: 'tokens',
  capacity,
  cost: 1,
  settles: true,
  ...more,
});

/** One limit of each kind; the window and what is in flight have room for one. */
const limits = [
  limit('bucket', 1_000_000, {
    kind: 'token_bucket',
    refill: { amount: 1, per_seconds: 3_600, mode: 'continuous' },
    thresholds: [50],
  }),
  limit('window', 1, { kind: 'window', window: { period: 'month', rollover: { max: 5 } } }),
  limit('flight', 1, { kind: 'concurrency', unit: 'concurrent' }),
];

const open = async () => {
  const { url } = await startRedis();
  const client = await createClient({ url }).connect();
  const store = new RedisStore(await connectRedis(url, 10_000, log), loadScripts(), systemClock, SETTINGS);
  const policy = await Policy.open({
    bundle: await readBundle(join(packageRoot, 'test/policies/metered.tar.gz')),
    config: {},
    timeoutMs: 10_000,
    threadFile: compiled('sidecar/policy/evaluation-thread.js'),
  });
  const denials = new Denials({ store, clock: systemClock, log });
  const revocations = new Revocations(store, log);
  const clock = systemClock;
  const owed = await OwedJournal.open({ dataDir: await tempDir(), allow: false, clock, log });
  const recordsFull = new RecordsFullAlarm(clock, log);
  const decider = new Decider({ policy: () => policy, store, revocations, denials, owed, recordsFull, clock, log });
  return { client, store, policy, denials, decider, owed };
};

let opened: Awaited<ReturnType<typeof open>>;

beforeAll(async () => {
  opened = await open();
  await opened.store.setGate(GATE, MAX_AMOUNT);
  await opened.store.setGate(KEY_GATE, MAX_AMOUNT);
  expect((await ask({ limits, request_id: 'granted' })).decision.allow).toBe(true);
  expect((await ask({ limits: [limits[0]] })).decision.allow).toBe(true);
}, 60_000);

afterAll(async () => {
  const { client, owed, policy, store } = opened;
  await Promise.all([policy.close(), store.close(), client.close(), owed.close()]);
});

const ask = async (input: object) =>
  (await opened.decider.decide(
    readRequest('test/metered', { tenant_id: 'acme', user_id: 'u', ...input }, undefined),
  )) as Answer;

/** Each key but the stream: what `DUMP` says of it, and when it expires. */
async function everyKey(): Promise<Record<string, string>> {
  const { client } = opened;
  const bytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  const keys = (await client.keys('*')).filter((key) => key !== STREAM).toSorted();
  const entries = keys.map(async (key) => {
    const dump = (await bytes.dump(key)) as unknown as Buffer;
    expect(dump).toBeInstanceOf(Buffer);
    return [key, `${dump.toString('base64')} ${await client.pExpireTime(key)}`];
  });
  return Object.fromEntries(await Promise.all(entries));
}

const denied = async (): Promise<number> => {
  const entries = await opened.client.xRange(STREAM, '-', '+');
  const events = (entries ?? [])
    .map(({ message }) => JSON.parse(message.e ?? ''))
    .filter(({ type }) => type === 'denied');
  return events.reduce((sum, { count }) => sum + count, 0);
};

const candidate = { model: 'big', limits: [limits[0]], gates: [GATE.name] };
const plan: Plan = planSchema.parse({ limits: [limits[0]] });

test.each<[string, (index: number) => Promise<unknown>]>([
  ['a window and what is in flight are full', () => ask({ limits })],
  ['the same, with a request id', (index) => ask({ limits, request_id: `r-${index}` })],
  ['the gate of the only model is closed', () => ask({ candidates: [candidate] })],
  ['the plan refuses', () => ask({ limits, refuse: { reason: 'unknown_model', status: 403, message: '' } })],
  ['the policy fails', () => ask({ limits, break_plan: true })],
  [
    'the key is revoked',
    (index) =>
      opened.denials.take({
        decisionId: `revoked-${index}.0`,
        plan,
        event: { tenant_id: 'acme', user_id: 'u' },
        fingerprint: '',
        keyGate: KEY_GATE.name,
      }),
  ],
])('%s: every key but the stream is byte for byte as it was, and every denial is counted', async (_, deny) => {
  const [keys, before] = [await everyKey(), await denied()];
  expect(Object.keys(keys).length).toBeGreaterThanOrEqual(6);
  for (let index = 0; index < DENIALS; index++) {
    const answer = (await deny(index)) as Partial<Answer> & { kind?: string };
    expect(answer.kind ?? answer.decision?.allow).toBe(answer.kind ? 'closed' : false);
  }
  await opened.denials.write();
  expect(await everyKey()).toEqual(keys);
  expect((await denied()) - before).toBe(DENIALS);
});

test('a grant does change them, so the comparison sees what it should', async () => {
  const keys = await everyKey();
  expect((await ask({ limits: [limits[0]] })).decision.allow).toBe(true);
  expect(await everyKey()).not.toEqual(keys);
});
