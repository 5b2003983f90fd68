import { Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { Registry } from 'prom-client';
import type { Log } from '../runtime/log.ts';
import { wireError } from '../schemas/errors.ts';
import { type CounterStore, CountersUnavailable } from './counters/contract.ts';
import type { Decider } from './decision/decide.ts';
import type { OwedJournal } from './decision/owed/journal.ts';
import { requireServiceToken } from './identity/service-token.ts';
import type { DecisionMetrics } from './metrics.ts';
import type { Policy } from './policy/policy.ts';
import { dataRoutes } from './routes/data.ts';
import { decisionRoutes } from './routes/decisions.ts';
import { healthRoutes } from './routes/health.ts';
import { usageRoutes } from './routes/usage.ts';

export interface AppDeps {
  policy: () => Policy;
  decider: Decider;
  store: CounterStore;
  owed: OwedJournal;
  metrics: DecisionMetrics;
  registry: Registry;
  /** The service's bearer tokens; undefined: everyone may ask. */
  tokens: string[] | undefined;
  maxBodyBytes: number;
  log: Log;
}

/** The sidecar's routes. Knows nothing of sockets, signals or the environment. */
export function createApp(deps: AppDeps): Hono {
  const app = new Hono();
  app.onError((error, c) => {
    if (error instanceof HTTPException) return error.getResponse();
    if (error instanceof CountersUnavailable) {
      deps.log.error({ err: error, path: c.req.routePath }, 'the counters cannot be reached');
      return c.json(wireError('internal_error', 'the counters cannot be reached'), 503, { 'Retry-After': '1' });
    }
    deps.log.error({ err: error, path: c.req.routePath }, 'request failed');
    return c.json(wireError('internal_error', 'internal error'), 500);
  });
  app.notFound((c) => c.json(wireError('resource_not_found', 'no such route'), 404));
  app.route('/', healthRoutes(deps));
  app.use('/v1/*', requireServiceToken(deps.tokens));
  app.route('/', dataRoutes(deps));
  app.route('/', usageRoutes(deps));
  app.route('/', decisionRoutes(deps));
  return app;
}
