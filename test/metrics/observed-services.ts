import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../runtime/package-root.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar, startWorker } from '../helpers/services.ts';
import { post, type Reply } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';

export interface Observed {
  sidecar: Service;
  worker: Service;
  redisUrl: string;
  databaseUrl: string;
  dataDir: string;
  /** Asks for a decision. */
  decide(input: object, headers?: Record<string, string>): Promise<Reply>;
  /** Reports its usage. */
  report(body: object, headers?: Record<string, string>): Promise<Reply>;
}

const BUDGETS = `per_user_budgets:
  enabled: true
  default_limits: { daily_tokens: 40000, monthly_tokens: 1000000 }
  warnings: [{ at_percent: 75, message: "75 %" }]
team_budgets: { engineering: { daily_tokens: 100000, monthly_tokens: 1000000 } }
`;

const TENANTS = `defaults: { capacity: 10000, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month } }
unknown_tenants: default
tenants:
  acme: {}
  small: { capacity: 3 }
`;

/** Both services on a real Redis and a real PostgreSQL, with budgets of users and a team, and a small tenant. */
export async function startObserved(
  environment: Record<string, string> = {},
  files: Record<string, string> = {},
): Promise<Observed> {
  const [redis, database, dir] = await Promise.all([startRedis(), createDatabase(), tempDir('observed')]);
  atTestEnd(database.drop);
  const configDir = join(dir, 'config');
  await cp(join(packageRoot, 'config'), configDir, { recursive: true });
  const all = { 'budgets.yaml': BUDGETS, 'tenants.yaml': TENANTS, ...files };
  for (const [name, text] of Object.entries(all)) await writeFile(join(configDir, name), text);
  const dataDir = join(dir, 'data');
  // On a busy machine an answer may be late, and nothing here is about that.
  const patience = { STORE_TIMEOUT_MS: '10000', POLICY_TIMEOUT_MS: '10000' };
  const shared = { REDIS_URL: redis.url, CONFIG_DIR: configDir, DATA_DIR: dataDir, ...patience, ...environment };
  const [sidecar, worker] = await Promise.all([
    startSidecar(shared),
    startWorker({ ...shared, DATABASE_URL: database.url }),
  ]);
  return {
    sidecar,
    worker,
    redisUrl: redis.url,
    databaseUrl: database.url,
    dataDir,
    decide: (input, headers) => post(`${sidecar.url}/v1/data/openclaw/rate_limit/decision`, { input }, headers),
    report: (body, headers) => post(`${sidecar.url}/v1/usage`, body, headers),
  };
}

export const metricsOf = async ({ url }: Service): Promise<string> => (await fetch(`${url}/metrics`)).text();
