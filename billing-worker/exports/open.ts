import type { Sql } from 'postgres';
import type { Registry } from 'prom-client';
import type { Clock } from '../../runtime/clock.ts';
import type { Environment } from '../../runtime/config/environment.ts';
import type { Log } from '../../runtime/log.ts';
import type { TenantsConfig } from '../../schemas/config/tenants.ts';
import { stripeTarget } from '../stripe/target.ts';
import { type AttemptResult, Dispatcher } from './dispatcher.ts';
import { deliveryMetrics } from './metrics.ts';
import type { Target } from './target.ts';
import { invoiceWebhook } from './webhook.ts';

export interface OpenTargetsOptions {
  environment: Environment;
  tenants: () => TenantsConfig;
  sql: Sql;
  clock: Clock;
}

/** Wherever STRIPE_SECRET_KEY and INVOICE_WEBHOOK_URL say that invoices go. */
export function openTargets({ clock, environment, sql, tenants }: OpenTargetsOptions): Target[] {
  const { INVOICE_WEBHOOK_SECRET, INVOICE_WEBHOOK_URL, STRIPE_SECRET_KEY } = environment;
  const targets: Target[] = [];
  if (STRIPE_SECRET_KEY) {
    targets.push(
      stripeTarget({
        secretKey: STRIPE_SECRET_KEY,
        apiBase: environment.STRIPE_API_BASE,
        collection: environment.STRIPE_COLLECTION,
        daysUntilDue: environment.STRIPE_DAYS_UNTIL_DUE,
        tenants,
        sql,
      }),
    );
  }
  if (INVOICE_WEBHOOK_URL && INVOICE_WEBHOOK_SECRET) {
    targets.push(invoiceWebhook(INVOICE_WEBHOOK_URL, INVOICE_WEBHOOK_SECRET, clock));
  }
  return targets;
}

/** One for each target, so that none waits for another. */
export function openDispatchers(
  targets: readonly Target[],
  { clock, log, registry, sql }: { sql: Sql; registry: Registry; clock: Clock; log: Log },
): Dispatcher[] {
  if (targets.length === 0) return [];
  const names = targets.map(({ name }) => name);
  const attempted = deliveryMetrics(registry, names, sql);
  return targets.map((target) => {
    const onAttempt = (result: AttemptResult) => attempted(target.name, result);
    return new Dispatcher({ sql, target, onAttempt, clock, log });
  });
}
