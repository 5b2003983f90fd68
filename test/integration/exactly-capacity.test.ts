import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { expect, test } from 'vitest';
import { CLUSTER_PARTITIONS, usageStreamKey } from '../../schemas/usage-stream.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { ask as askNode, startRedisCluster } from '../helpers/redis-cluster.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar, startWorker } from '../helpers/services.ts';
import { ask, get, inParallel } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { startUpstash } from '../helpers/upstash-server.ts';

const CAPACITY = fullLength ? 1_000 : 300;
const SIDECARS = 4;
const CALLERS = 256;
const REQUESTS = 3 * CAPACITY;

interface Store {
  environment: Record<string, string>;
  /** Entries of the usage stream, in all of its partitions. */
  entries(): Promise<number>;
}

async function redisStore(): Promise<Store> {
  const redis = await startRedis();
  const entries = async () => Number(await askNode(redis, ['XLEN', usageStreamKey(0)]));
  return { environment: { REDIS_URL: redis.url }, entries };
}

async function clusterStore(): Promise<Store> {
  const cluster = await startRedisCluster();
  const length = async (partition: number) =>
    Number(await cluster.send(usageStreamKey(partition), ['XLEN', usageStreamKey(partition)]));
  const entries = async () => {
    let all = 0;
    for (let partition = 0; partition < CLUSTER_PARTITIONS; partition++) all += await length(partition);
    return all;
  };
  return { environment: { REDIS_CLUSTER_URLS: cluster.urls.join(',') }, entries };
}

async function upstashStore(): Promise<Store> {
  const redis = await startRedis();
  const { token, url } = await startUpstash(redis);
  const entries = async () => Number(await askNode(redis, ['XLEN', usageStreamKey(0)]));
  return { environment: { UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token }, entries };
}

async function configured(): Promise<string> {
  const config = await tempDir();
  await writeFile(
    join(config, 'tenants.yaml'),
    `defaults: { capacity: ${CAPACITY}, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month } }\n`,
  );
  return config;
}

/** The other two run the same scripts, and what joins several partitions is shown by `cluster-on-the-move.test.ts`. */
const STORES: [name: string, open: () => Promise<Store>][] = [
  ['Redis', redisStore],
  ['a Redis Cluster', clusterStore],
  ['Upstash', upstashStore],
];

test.each(STORES.slice(0, fullLength ? undefined : 1))(
  `C6 ${CALLERS} callers at ${SIDECARS} sidecars on %s: exactly the capacity is allowed, metered and rolled up`,
  { timeout: BRING_TIMEOUT_MS },
  async (_, openStore) => {
    const [store, database, config] = await Promise.all([openStore(), createDatabase(), configured()]);
    const environment = {
      ...store.environment,
      DATABASE_URL: database.url,
      CONFIG_DIR: config,
      ADMIN_TOKEN: 'admin',
      STORE_TIMEOUT_MS: '20000',
      POLICY_TIMEOUT_MS: '20000',
    };
    const worker = await startWorker(environment);
    const sidecars = await Promise.all(Array.from({ length: SIDECARS }, () => startSidecar(environment)));

    const answers = await inParallel(REQUESTS, CALLERS, (index) =>
      ask((sidecars[index % SIDECARS] as Service).url, { tenant_id: 'acme' }),
    );
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    const allowed = answers.filter(({ body }) => body.result === true);
    expect(allowed).toHaveLength(CAPACITY);

    const counted = { requests: CAPACITY, tokens: CAPACITY, denied: REQUESTS - CAPACITY };
    await eventually(
      async () => {
        const { body } = await get(`${worker.url}/v1/usage?tenant_id=acme`, { Authorization: 'Bearer admin' });
        expect(body.data).toMatchObject([counted]);
      },
      { timeoutMs: 60_000 },
    );
    const sql = postgres(database.url, { max: 1 });
    const rows = await sql`select decision_id from usage_events where type = 'consumed'`;
    await sql.end();
    const ids = allowed.map(({ body }) => body.decision_id);
    expect(rows.map((row) => row.decision_id).toSorted()).toEqual(ids.toSorted());
    await eventually(async () => expect(await store.entries()).toBe(0), { timeoutMs: 60_000 });
  },
);
