import { collectDefaultMetrics, type Registry } from 'prom-client';
import { systemClock } from '../runtime/clock.ts';
import type { Config } from '../runtime/config/files.ts';
import { listen } from '../runtime/listen.ts';
import type { Process } from '../runtime/main.ts';
import type { UsageStream } from '../schemas/usage-stream.ts';
import { openDatabase } from './database/open.ts';
import { createBillingWorker } from './worker.ts';

export interface ServeDeps {
  config: Config;
  stream: UsageStream;
  registry: Registry;
  adminToken: string | undefined;
}

/** Opens the ledger, carries the stream into it, and serves the billing API. Resolves with its address. */
export async function serveBilling({ closers, environment, log }: Process, deps: ServeDeps): Promise<string> {
  const { BILLING_PORT, DATABASE_URL, DATA_DIR, HOST } = environment;
  const { adminToken, config, registry, stream } = deps;
  collectDefaultMetrics({ register: registry });
  const database = await openDatabase({ databaseUrl: DATABASE_URL, dataDir: DATA_DIR, log });
  closers.add('database', () => database.close());

  const worker = createBillingWorker({
    sql: database.sql,
    stream,
    tenants: config.tenants,
    adminToken,
    registry,
    clock: systemClock,
    log,
  });
  worker.start();
  closers.add('billing worker', () => worker.stop());
  const listening = await listen(worker.app, { host: HOST, port: BILLING_PORT, variable: 'BILLING_PORT' });
  closers.add('billing listener', () => listening.close());
  closers.add('billing feeds', () => worker.endFeeds());
  log.info({ url: listening.url }, 'billing worker is listening');
  return listening.url;
}
