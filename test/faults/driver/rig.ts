import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import postgres, { type Sql } from 'postgres';
import { createDatabase } from '../../helpers/postgres.ts';
import { type RedisServer, startRedis } from '../../helpers/redis-server.ts';
import { type FaultProxy, startProxy } from '../../helpers/tcp-proxy.ts';
import { tempDir } from '../../helpers/temp-dir.ts';
import { atTestEnd } from '../../helpers/test-end.ts';
import { AcknowledgeWatch } from './acknowledge-watch.ts';
import { PatientRedis } from './patient-redis.ts';
import { compiledPolicy } from './policy.ts';
import { Program } from './program.ts';
import { StreamShadow } from './stream-shadow.ts';

export const TOKENS = { admin: 'admin', service: 'service' };
export const PRICE_PER_TOKEN = '0.01';
/** An answer of the counters is waited for so long. */
const STORE_TIMEOUT_MS = 300;

/**
 * What is answered is in the file, so that a killed Redis has lost nothing. With `everysec` it may have: while the disk is slow to
 * sync, Redis answers first and writes up to two seconds later.
 */
const ALWAYS_WRITTEN = ['--appendfsync', 'always'];

const TENANTS = `defaults: { capacity: 10000, refill: daily, price_per_token: "${PRICE_PER_TOKEN}", billing_cycle: { period: month } }\n`;

export interface RigOptions {
  /** Of a copy of the compiled programs. */
  root: string;
  sidecars?: number;
  workers?: number;
  /** A PostgreSQL of one's own; by default a database in the one that all tests share. */
  databaseUrl?: string;
  /** Of the counters' answers: the usual one is short, so that much of what goes wrong is noticed. */
  storeTimeoutMs?: number;
}

/** Everything on loopback, with the ways between it in the test's hand. */
export interface Rig {
  redis: RedisServer;
  control: PatientRedis;
  shadow: StreamShadow;
  sql: Sql;
  /** Between sidecars and Redis, workers and Redis, workers and PostgreSQL. */
  links: { sidecars: FaultProxy; workers: FaultProxy; database: FaultProxy };
  sidecars: Program[];
  workers: Program[];
  acknowledged: AcknowledgeWatch;
  policy: { revisions: string[]; use(revision: string): Promise<void>; spoil(): Promise<void> };
}

export async function startRig({
  databaseUrl,
  storeTimeoutMs = STORE_TIMEOUT_MS,
  root,
  sidecars = 2,
  workers = 2,
}: RigOptions): Promise<Rig> {
  const [redis, url, bundles] = await Promise.all([
    startRedis({ args: ALWAYS_WRITTEN }),
    databaseUrl ?? ownDatabase(),
    compiledPolicy(),
  ]);
  const policy = await policyFile(bundles);
  const links = await linksTo(redis, url);
  const [control, shadow] = await Promise.all([PatientRedis.connect(redis.url), StreamShadow.follow(redis.url)]);
  const sql = postgres(url, { max: 2, onnotice: () => undefined, connection: { application_name: 'checker' } });
  atTestEnd(() => sql.end({ timeout: 1 }));
  const acknowledged = new AcknowledgeWatch(links.workers, shadow, sql);
  const common = {
    ADMIN_TOKEN: TOKENS.admin,
    OPA_TOKEN: TOKENS.service,
    CONFIG_DIR: await configured(),
    STORE_TIMEOUT_MS: String(storeTimeoutMs),
    POLICY_TIMEOUT_MS: '10000',
    POLICY_BUNDLE: policy.file,
    RESERVATION_TTL_S: '1',
    CYCLE_GRACE_S: '0',
  };
  const start = async (script: string, portVariable: 'PORT' | 'BILLING_PORT', env: Record<string, string>) =>
    Program.start({ root, script, portVariable, env: { ...common, ...env, DATA_DIR: await tempDir('data') } });
  const times = (count: number, work: () => Promise<Program>) => Promise.all(Array.from({ length: count }, work));
  const REDIS_URL = links.workers.url(redis.url);
  const DATABASE_URL = links.database.url(url);
  const [started, working] = await Promise.all([
    times(sidecars, () => start('sidecar/main.js', 'PORT', { REDIS_URL: links.sidecars.url(redis.url) })),
    times(workers, () => start('billing-worker/main.js', 'BILLING_PORT', { REDIS_URL, DATABASE_URL })),
  ]);
  return { redis, control, shadow, sql, links, sidecars: started, workers: working, acknowledged, policy };
}

async function ownDatabase(): Promise<string> {
  const { drop, url } = await createDatabase();
  atTestEnd(drop);
  return url;
}

async function linksTo(redis: RedisServer, databaseUrl: string): Promise<Rig['links']> {
  const database = new URL(databaseUrl);
  const [sidecars, workers, toDatabase] = await Promise.all([
    startProxy({ target: redis }),
    startProxy({ target: redis }),
    startProxy({ target: { host: database.hostname, port: Number(database.port) } }),
  ]);
  return { sidecars, workers, database: toDatabase };
}

async function configured(): Promise<string> {
  const dir = await tempDir('config');
  await writeFile(join(dir, 'tenants.yaml'), TENANTS);
  return dir;
}

/** A bundle in a file that all sidecars watch. */
async function policyFile(bundles: Map<string, Buffer>): Promise<Rig['policy'] & { file: string }> {
  const file = join(await tempDir('policy'), 'bundle.tar.gz');
  const put = async (bytes: Buffer) => {
    await writeFile(`${file}.part`, bytes);
    await rename(`${file}.part`, file);
  };
  const use = async (revision: string) => {
    const bytes = bundles.get(revision);
    if (!bytes) throw new Error(`there is no revision ${revision}`);
    await put(bytes);
  };
  await use('r1');
  return { file, revisions: [...bundles.keys()], use, spoil: () => put(Buffer.from('not a bundle')) };
}
