import postgres, { type Sql } from 'postgres';
import { createClient, type RedisClientType } from 'redis';
import { expect } from 'vitest';
import { cycleAt } from '../../billing-worker/cycles.ts';
import { reconcile, type TenantDrift } from '../../billing-worker/reconcile/reconcile.ts';
import { modelsSchema } from '../../schemas/config/models.ts';
import { tenants } from '../billing/tenants.ts';
import { TestClock } from '../helpers/clock.ts';
import { eventually } from '../helpers/eventually.ts';
import { freePort } from '../helpers/free-port.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { type RedisOptions, type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { ask, inParallel } from '../helpers/sidecar-client.ts';
import { atTestEnd } from '../helpers/test-end.ts';

/** The stream, the group of its readers, and the bucket of `acme`, as they lie in Redis. */
export const STREAM = 'ocr:{p0}:usage';
export const GROUP = 'ledger';
const BUCKET = { key: 'ocr:{p0}:c:acme:tenant:acme', field: 't:tenant%3Aacme%3Atokens' };

/** A Redis and a database for real sidecars and workers, with a client of each that sees what these leave there. */
export interface Rig {
  redis: RedisServer;
  client: RedisClientType;
  sql: Sql;
  /** For both services; a worker that is started again is the same reader of the stream. */
  environment: Record<string, string>;
}

export async function startRig(options: RedisOptions = {}): Promise<Rig> {
  const [redis, { drop, url }] = await Promise.all([startRedis(options), createDatabase()]);
  const sql = postgres(url, { max: 2, onnotice: () => {} });
  atTestEnd(async () => {
    await sql.end();
    await drop();
  });
  const environment = {
    ADMIN_TOKEN: 'admin',
    BILLING_PORT: String(await freePort()),
    DATABASE_URL: url,
    REDIS_URL: redis.url,
    STORE_TIMEOUT_MS: '5000',
    POLICY_TIMEOUT_MS: '5000',
  };
  return { redis, client: await connectTo(redis), sql, environment };
}

export async function connectTo({ url }: { url: string }): Promise<RedisClientType> {
  const client = createClient({ url }).on('error', () => undefined);
  await client.connect();
  atTestEnd(() => client.destroy());
  return client as RedisClientType;
}

/** Asks so often for one token of `acme`, eight at once, each under a request id of its own; gives the ids of what was allowed. */
export async function takes(url: string, name: string, times: number, more: object = {}): Promise<string[]> {
  const answers = await inParallel(times, 8, (index) =>
    ask(url, { tenant_id: 'acme', request_id: `${name}-${index}`, ...more }),
  );
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  return answers.filter(({ body }) => body.result === true).map(({ body }) => body.decision_id as string);
}

/** The decisions whose grants are in the stream, in its order. */
export async function streamed(client: RedisClientType): Promise<string[]> {
  const entries = (await client.xRange(STREAM, '-', '+')) ?? [];
  const events = entries.map(({ message }) => JSON.parse(message.e ?? ''));
  return events.filter(({ type }) => type === 'consumed' || type === 'reserved').map((event) => event.decision_id);
}

/** How many tokens of the bucket of `acme` are used. */
export async function used(client: RedisClientType): Promise<number> {
  return Number(/\d+/.exec((await client.hGet(BUCKET.key, BUCKET.field)) ?? '0')?.[0]);
}

/** The decisions whose grants are in the ledger, each as often as it is there, and what its rollups add up to. */
export async function ledger(sql: Sql): Promise<{ decisions: string[]; requests: number }> {
  const rows = await sql`select decision_id from usage_events where type in ('consumed', 'reserved') order by 1`;
  const [sum] = await sql`select coalesce(sum(requests), 0)::int as requests from usage_rollups`;
  return { decisions: rows.map(({ decision_id }) => decision_id), requests: sum?.requests };
}

/** Once a worker has carried all there is: each of these decisions is in the ledger once, and nothing else. */
export async function expectBilledOnce(
  { client, sql }: Pick<Rig, 'client' | 'sql'>,
  decisions: string[],
): Promise<void> {
  await eventually(async () => expect(await client.xLen(STREAM)).toBe(0), { timeoutMs: 30_000 });
  expect(await ledger(sql)).toEqual({ decisions: decisions.toSorted(), requests: decisions.length });
}

/** While `work` goes on, a batch that adds to rollups that are there waits in the middle of its one statement. */
export async function holdingRollups(sql: Sql, work: () => Promise<unknown>): Promise<void> {
  await sql.begin(async (locking) => {
    await locking`select 1 from usage_rollups for update`;
    await work();
  });
}

/** Who waits for a lock in the database. */
export const waiting = (sql: Sql): Promise<{ pid: number }[]> =>
  sql<{ pid: number }[]>`
    select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;

/** How many entries of the stream were delivered and are not acknowledged. */
export const pending = async ({ client }: Pick<Rig, 'client'>): Promise<number> =>
  (await client.xPending(STREAM, GROUP)).pending;

/** What of the counters the ledger cannot account for, as `reconcile` tells it two minutes later. */
export async function counterDrifts(sql: Sql): Promise<TenantDrift['counters']['drifts']> {
  const clock = new TestClock(Date.now() + 120_000);
  const cycle = cycleAt(Date.now(), { period: 'month', anchor_day: 1, timezone: 'UTC' });
  const terms = () => ({ tenants, models: modelsSchema.parse({}) });
  const { data } = await reconcile({ cycle, limit: 10 }, { sql, terms, clock });
  return data.flatMap(({ counters }) => counters.drifts);
}
