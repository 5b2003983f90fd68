import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../runtime/clock.ts';
import { usageStreamKey } from '../../schemas/usage-stream.ts';
import { ClusterStore } from '../../sidecar/counters/cluster/store.ts';
import { type CounterStore, CountersUnavailable } from '../../sidecar/counters/contract.ts';
import { accountKeys } from '../../sidecar/counters/keys.ts';
import { connectCluster } from '../../sidecar/counters/redis/cluster-connection.ts';
import { loadScripts } from '../../sidecar/counters/redis/scripts.ts';
import { limit, plan } from '../conformance/workbench.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { SETTINGS } from '../helpers/counter-settings.ts';
import { fullLength } from '../helpers/full-length.ts';
import { type RedisCluster, startRedisCluster } from '../helpers/redis-cluster.ts';
import type { RedisServer } from '../helpers/redis-server.ts';

const TIMEOUT_MS = 100;
const RESERVATION_TTL_MS = 3_000;
const CALLERS = 16;
const TURNS = fullLength ? 25 : 3;

const tenants = Array.from({ length: 14 }, (_, index) => `tenant-${index}`);
/** A provider that is short, so that takes are refused and given back; tenants of which some are short themselves. */
const shared = limit({ id: 'shared', scope: 'shared:anthropic', capacity: 1_500, cost: 10, settles: true });
const own = (tenant: string) =>
  limit({ id: 'own', capacity: tenant.endsWith('3') ? 60 : 400, cost: 10, settles: true });

let cluster: RedisCluster;

beforeAll(async () => {
  cluster = await startRedisCluster();
}, BRING_TIMEOUT_MS);

/** Tries again with the same request until it is answered, as a caller would. */

async function answered<Result>(attempt: () => Promise<Result>): Promise<Result> {
  for (let tries = 0; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof CountersUnavailable) || tries > 200) throw error;
      await sleep(20);
    }
  }
}

/** One call after the other: takes, and settles, voids or forgets what was granted. Gives what is charged in the end. */
async function caller(store: CounterStore, id: number): Promise<Map<string, number>> {
  const charged = new Map<string, number>();
  for (let turn = 0; turn < TURNS; turn++) {
    const tenant = tenants[(id * 7 + turn) % tenants.length] as string;
    const request = {
      plan: plan(own(tenant), shared),
      event: { tenant_id: tenant },
      requestId: `${id}-${turn}`,
      fingerprint: 'body',
    };
    let turns = 0;
    const newId = () => `${id}-${turn}-${turns++}.${store.partitionOf(tenant)}`;
    const result = await answered(() => store.take({ ...request, decisionId: newId() }));
    if (result.kind !== 'taken' && result.kind !== 'replayed') continue;
    const decisionId =
      result.kind === 'replayed' ? result.decisionId : `${id}-${turn}-${turns - 1}.${store.partitionOf(tenant)}`;
    const actual = turn % 3 === 0 ? 10 : turn % 5;
    if (turn % 3) {
      const kind = turn % 5 ? 'settle' : 'void';
      const report = { decisionId, kind, actual: { tokens: actual }, fingerprint: `used ${actual}` } as const;
      expect(await answered(() => store.settle(report))).toMatchObject({
        kind: kind === 'void' ? 'voided' : 'settled',
      });
    }
    charged.set(tenant, (charged.get(tenant) ?? 0) + actual);
  }
  return charged;
}

async function move(key: string): Promise<void> {
  const slot = cluster.slotOf(key);
  const from = await cluster.ownerOf(key);
  const to = cluster.nodes[(cluster.nodes.indexOf(from) + 1) % cluster.nodes.length] as RedisServer;
  await cluster.beginMove(slot, to);
  while (await cluster.moveKeys(slot, to, 8)) await sleep(5);
  await cluster.finishMove(slot, to);
}

test('C12 slots of tenants and of an account move under load: what is charged is what was used, at both', {
  timeout: BRING_TIMEOUT_MS,
}, async () => {
  const connection = await connectCluster(cluster.urls, TIMEOUT_MS, pino({ level: 'silent' }));
  const settings = { ...SETTINGS, timeoutMs: TIMEOUT_MS, reservationTtlMs: RESERVATION_TTL_MS };
  const store = new ClusterStore({ connection, scripts: loadScripts(), clock: systemClock, settings });
  const streams = [...new Set(tenants.map((tenant) => usageStreamKey(store.partitionOf(tenant))))];
  expect(streams.length).toBeGreaterThanOrEqual(10);

  let working = true;
  let moves = 0;
  const moving = (async () => {
    const account = accountKeys('anthropic').stream;
    for (; working || moves <= streams.length; moves += 1) {
      // The account's slot is in the way of everybody while it moves, so not all the time.
      await move(moves % 4 ? (streams[moves % streams.length] as string) : account);
      await sleep(50);
    }
  })();
  const callers = await Promise.all(Array.from({ length: CALLERS }, (_, id) => caller(store, id)));
  working = false;
  await moving;

  // What was held for takes of which nobody knows what came is given back when it expires.
  await sleep(RESERVATION_TTL_MS);
  while (await answered(() => store.expire(100)));
  const used = async (tenant: string, of: ReturnType<typeof limit>) =>
    (await store.peek(plan({ ...of, cost: 0 }), tenant)).outcome.limits[0]?.before;
  const charged = (tenant: string) => callers.reduce((sum, one) => sum + (one.get(tenant) ?? 0), 0);
  for (const tenant of tenants) expect([tenant, await used(tenant, own(tenant))]).toEqual([tenant, charged(tenant)]);
  expect(await used('anybody', shared)).toBe(tenants.reduce((sum, tenant) => sum + charged(tenant), 0));
  await store.close();
});
