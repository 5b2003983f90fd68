import { expect, test } from 'vitest';
import { fullLength } from '../helpers/full-length.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar, startWorker } from '../helpers/services.ts';
import { post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { campaign } from './fuzz/campaign.ts';
import { PROBED, standingOf } from './fuzz/standing.ts';
import { signInAsAdmin } from './sign-in.ts';

const REQUESTS = Number(process.env.FUZZ_REQUESTS ?? (fullLength ? 1_000_000 : 1_500));
const SEED = Number(process.env.FUZZ_SEED ?? 1);
/** Caches fill up in this part of the requests; from then on nothing may grow. */
const FILLING = 0.3;
const MIB = 1_048_576;

const ACCESS = { service: 'service-token', admin: 'admin-token' };

/** Both services on a real Redis and a real PostgreSQL; the worker has a database of Redis for itself, so that its ledger stays small. */
async function start() {
  const [redis, database, dataDir] = await Promise.all([startRedis(), createDatabase(), tempDir('fuzz')]);
  atTestEnd(database.drop);
  const shared = {
    ...PROBED,
    DATA_DIR: dataDir,
    OPA_TOKEN: ACCESS.service,
    ADMIN_TOKEN: ACCESS.admin,
    LOG_LEVEL: 'error',
    // On a busy machine an answer may be late, and nothing here is about that.
    STORE_TIMEOUT_MS: '5000',
    POLICY_TIMEOUT_MS: '5000',
  };
  const sidecar = await startSidecar({ ...shared, REDIS_URL: redis.url, LOG_LEVEL: 'info' });
  const env = { ...shared, REDIS_URL: `${redis.url}/1`, DATABASE_URL: database.url, SIDECAR_URL: sidecar.url };
  return { redis, sidecar, worker: await startWorker({ ...env, LOG_LEVEL: 'info' }) };
}

const portOf = ({ url }: Service) => Number(new URL(url).port);

test(`${REQUESTS} requests, and each has its answer`, { timeout: 3_600_000 }, async () => {
  const { sidecar, worker } = await start();
  let tenants = 0;
  const innocent = async () => {
    const input = { tenant_id: `innocent ${tenants++}` };
    const answer = await post(
      `${sidecar.url}/v1/data/openclaw/rate_limit/allow`,
      { input },
      { Authorization: `Bearer ${ACCESS.service}` },
    );
    if (answer.body.result !== true) throw new Error(JSON.stringify(answer.body));
    const usage = await fetch(`${worker.url}/v1/usage?tenant_id=innocent`, {
      headers: { Authorization: `Bearer ${ACCESS.admin}` },
    });
    if (!usage.ok) throw new Error(`the billing API answers ${usage.status}`);
  };
  const options = {
    loops: 24,
    ports: { sidecar: portOf(sidecar), worker: portOf(worker) },
    access: { ...ACCESS, session: await signInAsAdmin(worker.url, ACCESS.admin) },
    innocent,
  };
  const standing = () => Promise.all([standingOf(sidecar.process), standingOf(worker.process)]);
  const reports = [await campaign({ ...options, seed: SEED, requests: Math.ceil(REQUESTS * FILLING) })];
  const filled = await standing();
  reports.push(await campaign({ ...options, seed: SEED + 1, requests: Math.ceil(REQUESTS * (1 - FILLING)) }));
  const after = await standing();
  if (fullLength || process.env.FUZZ_REQUESTS) console.warn(JSON.stringify({ reports, filled, after }, null, 1));

  expect(reports.flatMap(({ violations }) => violations)).toEqual([]);
  expect(reports.reduce((sum, { requests }) => sum + requests, 0)).toBeGreaterThanOrEqual(REQUESTS);
  const statuses = Object.assign({}, ...reports.map((report) => report.statuses));
  // It got behind the first checks, of both services.
  for (const status of [
    'sidecar 200',
    'sidecar 400',
    'sidecar 404',
    'sidecar 401',
    'worker 200',
    'worker 400',
    // Few are no HTTP at all, and of few requests none may be.
    ...(REQUESTS < 3_000 ? [] : ['raw 400']),
  ]) {
    expect(statuses).toHaveProperty([status]);
  }
  for (const [index, { handles, heapUsed, polluted, rss }] of after.entries()) {
    expect(polluted).toEqual([]);
    expect(rss).toBeLessThan(700 * MIB);
    expect(heapUsed - (filled[index]?.heapUsed ?? 0)).toBeLessThan(64 * MIB);
    expect(handles).toBeLessThan(200);
  }
  for (const { process } of [sidecar, worker]) {
    const failures = process.output.filter((line) => /"msg":"(request failed|a page failed)"/.test(line));
    expect(failures).toEqual([]);
  }
});
