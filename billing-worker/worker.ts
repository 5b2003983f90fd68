import type { Hono } from 'hono';
import type { Sql } from 'postgres';
import type { Registry } from 'prom-client';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { Tracing } from '../runtime/tracing/tracing.ts';
import type { UsageStream } from '../schemas/usage-stream.ts';
import { createApp } from './app.ts';
import { BudgetFeed } from './budget-feed.ts';
import { Consumer } from './consume.ts';
import { openDispatchers } from './exports/open.ts';
import type { Target } from './exports/target.ts';
import { HeldWatch } from './held/watch.ts';
import type { Terms } from './invoices/scope.ts';
import { Calendar } from './ledger/calendar.ts';
import { Ledger } from './ledger/ledger.ts';
import { observeDatabase } from './metrics/database.ts';
import { DriftWatch } from './metrics/drift-watch.ts';
import { BillingMetrics } from './metrics.ts';
import type { PagesOptions } from './pages/deps.ts';

export interface BillingWorkerDeps {
  /** An open and migrated database; it stays the caller's to close, after `stop`. */
  sql: Sql;
  /** It stays the caller's to close, after `stop`. */
  stream: UsageStream;
  /** By what usage is put into cycles and priced, as it is now. */
  config: () => Terms;
  invoicing: { issuer: string; graceMs: number };
  /** Where finalised invoices are sent; nowhere by default. */
  exports?: { targets: readonly Target[]; stripeWebhookSecret: string | undefined };
  adminToken: string | undefined;
  /** Of `/admin` and `/portal`, which are not there without it. */
  pages?: PagesOptions;
  registry: Registry;
  /** So many tenants, users and models have metrics of their own. */
  maxLabelSets?: number;
  /** Undefined: nothing is traced. */
  tracing?: Tracing | undefined;
  clock: Clock;
  log: Log;
}

export interface BillingWorker {
  app: Hono;
  /** Begins to carry usage events into the ledger. */
  start(): void;
  /** Finishes the batch at hand. */
  stop(): Promise<void>;
  /** Ends the answers that would go on for as long as their readers do. */
  endFeeds(): void;
}

/** Puts the billing worker together. */
export function createBillingWorker(deps: BillingWorkerDeps): BillingWorker {
  const { clock, config, invoicing, log, maxLabelSets, registry, sql, stream, tracing } = deps;
  const calendar = new Calendar();
  const metrics = new BillingMetrics({ registry, stream, models: () => config().models, maxLabelSets, tracing, clock });
  observeDatabase(registry, sql);
  const feed = new BudgetFeed();
  const ledger = new Ledger({
    sql,
    terms: {
      get tenants() {
        return config().tenants;
      },
      calendar,
    },
    onCommit: (committed, rows) => {
      metrics.committed(committed);
      feed.publish(rows);
      if (committed.deadLetters) log.error({ count: committed.deadLetters }, 'stream entries became dead letters');
    },
  });
  const consumer = new Consumer({
    stream,
    append: (entries) => metrics.batch(entries.length, () => ledger.append(entries)),
    clock,
    log,
  });
  const dispatchers = openDispatchers(deps.exports?.targets ?? [], deps);
  const held = new HeldWatch({ sql, terms: config, registry, clock, log });
  const drift = new DriftWatch({ sql, terms: config, registry, clock, log });
  const running = [consumer, held, drift, ...dispatchers];
  return {
    app: createApp({
      ...deps,
      ...invoicing,
      ...deps.exports,
      tenants: () => config().tenants,
      terms: config,
      calendar,
      feed,
      ledger,
    }),
    start: () => {
      for (const each of running) each.start();
    },
    stop: async () => {
      await Promise.all(running.map((each) => each.stop()));
    },
    endFeeds: () => feed.close(),
  };
}
