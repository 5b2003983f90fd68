import { Hono } from 'hono';
import type { Log } from '../runtime/log.ts';
import { requireAdminToken } from '../runtime/require-admin-token.ts';
import type { Tracing } from '../runtime/tracing/tracing.ts';
import { wireError } from '../schemas/errors.ts';
import type { BudgetFeed } from './budget-feed.ts';
import { holdsNul, isAway } from './database/errors.ts';
import { pagesApp } from './pages/app.tsx';
import type { PagesOptions } from './pages/deps.ts';
import { allocationRoutes } from './routes/allocation.ts';
import { auditRoutes } from './routes/audit.ts';
import { type CyclesDeps, cycleRoutes } from './routes/cycles.ts';
import { type DeadLettersDeps, deadLetterRoutes } from './routes/dead-letters.ts';
import { eventRoutes } from './routes/events.ts';
import { exportRoutes } from './routes/export.ts';
import { deliveryRoutes } from './routes/export-deliveries.ts';
import { type HealthDeps, healthRoutes } from './routes/health.ts';
import { heldRoutes } from './routes/held.ts';
import { invoiceRoutes } from './routes/invoices.ts';
import { reconcileRoutes } from './routes/reconcile.ts';
import { repriceRoutes } from './routes/reprice.ts';
import { type StripeWebhookDeps, stripeWebhookRoutes } from './routes/stripe-webhook.ts';
import { usageRoutes } from './routes/usage.ts';
import { usageLogRoutes } from './routes/usage-log.ts';
import type { UsageReportDeps } from './routes/usage-report.ts';

export interface AppDeps extends HealthDeps, UsageReportDeps, CyclesDeps, StripeWebhookDeps, DeadLettersDeps {
  /** Undefined: the API is closed, and says how to open it. */
  adminToken: string | undefined;
  log: Log;
  feed: BudgetFeed;
  /** Where `/admin` and `/portal` find what is not in the ledger; without it they are not there. */
  pages?: PagesOptions | undefined;
  /** Undefined: nothing is traced. */
  tracing?: Tracing | undefined;
}

/** The billing worker's routes. Knows nothing of sockets, signals or the environment. */
export function createApp(deps: AppDeps): Hono {
  const app = new Hono();
  app.onError((error, c) => {
    if (holdsNul(error)) return c.json(wireError('invalid_parameter', 'the request holds NUL, and no name does'), 400);
    deps.log.error({ err: error, path: c.req.routePath }, 'request failed');
    if (isAway(error)) {
      return c.json(wireError('internal_error', 'the database cannot be reached'), 503, { 'Retry-After': '1' });
    }
    return c.json(wireError('internal_error', 'internal error'), 500);
  });
  app.notFound((c) => c.json(wireError('resource_not_found', 'no such route'), 404));
  if (deps.tracing) app.use(deps.tracing.requests);
  app.route('/', healthRoutes(deps));
  app.route('/', stripeWebhookRoutes(deps));
  if (deps.pages) app.route('/', pagesApp(deps, deps.pages));
  for (const path of ['/v1/*', '/api/admin/*']) app.use(path, requireAdminToken(deps.adminToken));
  app.route('/', eventRoutes(deps));
  app.route('/', usageRoutes(deps));
  app.route('/', allocationRoutes(deps));
  app.route('/', usageLogRoutes(deps));
  app.route('/', auditRoutes(deps));
  app.route('/', deadLetterRoutes(deps));
  app.route('/', cycleRoutes(deps));
  app.route('/', exportRoutes(deps));
  app.route('/', deliveryRoutes(deps));
  app.route('/', invoiceRoutes(deps));
  app.route('/', repriceRoutes(deps));
  app.route('/', heldRoutes(deps));
  app.route('/', reconcileRoutes(deps));
  return app;
}
