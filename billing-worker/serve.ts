import type { Registry } from 'prom-client';
import { systemClock } from '../runtime/clock.ts';
import type { LiveConfig } from '../runtime/config/live-config.ts';
import { listen } from '../runtime/listen.ts';
import { listenerLimits } from '../runtime/listener-limits.ts';
import type { Process } from '../runtime/main.ts';
import { Overload } from '../runtime/metrics/overload.ts';
import { observeProcess } from '../runtime/metrics/process.ts';
import { CLUSTER_PARTITIONS, type UsageStream } from '../schemas/usage-stream.ts';
import { openDatabase } from './database/open.ts';
import { openTargets } from './exports/open.ts';
import { KeyPublisher, type KeyPublisherDeps } from './keys/publish.ts';
import { PartitionKeeper } from './partitions/keeper.ts';
import { createBillingWorker } from './worker.ts';

/** A report over a large ledger may take minutes. */
const SILENCE_MS = 600_000;

export interface ServeDeps {
  config: Pick<LiveConfig, 'current' | 'status'>;
  stream: UsageStream;
  /** Where the sidecars look for API keys. */
  store: KeyPublisherDeps['store'];
  registry: Registry;
  adminToken: string | undefined;
  /** Of the sidecar in this process, if there is one; else SIDECAR_URL says it. */
  sidecarUrl?: string;
}

/** Opens the ledger, carries the stream into it, and serves the billing API. Resolves with its address. */
export async function serveBilling({ closers, environment, log, tracing }: Process, deps: ServeDeps): Promise<string> {
  const { BILLING_PORT, CYCLE_GRACE_S, DATABASE_URL, DATA_DIR, HOST, INVOICE_ISSUER, REDIS_CLUSTER_URLS } = environment;
  const { adminToken, config, registry, store, stream } = deps;
  observeProcess(registry, config.status);
  const database = await openDatabase({
    databaseUrl: DATABASE_URL,
    ownerUrl: environment.DATABASE_OWNER_URL,
    dataDir: DATA_DIR,
    log,
  });
  closers.add('database', () => database.close());

  const tenants = () => config.current().tenants;
  const targets = openTargets({ environment, tenants, sql: database.sql, clock: systemClock });
  const worker = createBillingWorker({
    sql: database.sql,
    stream,
    config: config.current,
    invoicing: { issuer: INVOICE_ISSUER, graceMs: CYCLE_GRACE_S * 1_000 },
    exports: { targets, stripeWebhookSecret: environment.STRIPE_WEBHOOK_SECRET },
    adminToken,
    pages: {
      sidecarUrl: deps.sidecarUrl ?? environment.SIDECAR_URL ?? `http://127.0.0.1:${environment.PORT}`,
      opaToken: environment.OPA_TOKEN?.[0],
      people: config.current,
    },
    registry,
    maxLabelSets: environment.METRICS_MAX_LABEL_SETS,
    tracing: tracing?.('billing-worker'),
    clock: systemClock,
    log,
  });
  worker.start();
  closers.add('billing worker', () => worker.stop());
  const keepMonths = environment.LEDGER_RETENTION_MONTHS;
  const keeper = new PartitionKeeper({ sql: database.owner, keepMonths, clock: systemClock, log });
  keeper.start();
  closers.add("keeping of the ledger's partitions", () => keeper.stop());
  const partitions = REDIS_CLUSTER_URLS ? CLUSTER_PARTITIONS : 1;
  const publisher = new KeyPublisher({ sql: database.sql, store, partitions, clock: systemClock, log });
  publisher.start();
  closers.add('publishing of API keys', () => publisher.stop());
  const overload = new Overload({ clock: systemClock, log });
  overload.observe(registry);
  const listening = await listen(worker.app, {
    host: HOST,
    port: BILLING_PORT,
    variable: 'BILLING_PORT',
    limits: listenerLimits(environment, SILENCE_MS),
    onRefused: overload.refused,
  });
  closers.add('billing listener', () => listening.close());
  closers.add('billing feeds', () => worker.endFeeds());
  log.info({ url: listening.url }, 'billing worker is listening');
  return listening.url;
}
