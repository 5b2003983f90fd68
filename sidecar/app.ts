import { type Context, Hono } from 'hono';
import type { Clock } from '../runtime/clock.ts';
import type { Environment } from '../runtime/config/environment.ts';
import type { Config } from '../runtime/config/files.ts';
import type { ConfigStatus } from '../runtime/config/live-config.ts';
import type { Direct } from '../runtime/listen.ts';
import type { Log } from '../runtime/log.ts';
import type { Tracing } from '../runtime/tracing/tracing.ts';
import type { Granted } from './admin/granted.ts';
import { adminRoutes } from './admin/routes.ts';
import type { CounterStore } from './counters/contract.ts';
import type { Decider } from './decision/decide.ts';
import type { OwedJournal } from './decision/owed/journal.ts';
import type { DecisionLog } from './decision-log/decision-log.ts';
import { authenticate, serviceOnly } from './identity/authenticate.ts';
import type { Identities } from './identity/identities.ts';
import type { KeyChanges } from './keys/changes.ts';
import type { UsageReports } from './metrics/usage-reports.ts';
import type { DecisionMetrics } from './metrics.ts';
import type { Notices } from './notices/notices.ts';
import type { Peps } from './peps/peps.ts';
import { pepRoutes } from './peps/routes.ts';
import type { Policy } from './policy/policy.ts';
import type { PolicyStatus } from './policy/status.ts';
import type { HealthView } from './providers/health-view.ts';
import type { ProviderReports } from './providers/provider-reports.ts';
import type { Labels } from './routes/active-config.ts';
import { authzRoutes } from './routes/authz.ts';
import { batchRoutes } from './routes/batch.ts';
import { dataRoutes } from './routes/data.ts';
import { dataV0Routes } from './routes/data-v0.ts';
import { decisionRoutes } from './routes/decisions.ts';
import { directData } from './routes/direct-data.ts';
import { failure } from './routes/failure.ts';
import { type Going, healthRoutes } from './routes/health.ts';
import { type HttpDurations, httpMetrics } from './routes/http-metrics.ts';
import { notOfferedRoutes } from './routes/not-offered.ts';
import { commonToAllPaths } from './routes/paths.ts';
import { providerStatusRoutes } from './routes/provider-status.ts';
import { statusRoutes } from './routes/status.ts';
import { usageRoutes } from './routes/usage.ts';
import type { Shadow } from './shadow/shadow.ts';

export interface AppDeps {
  policy: () => Policy;
  policyStatus: () => PolicyStatus;
  /** Undefined: no second policy is compared with the one in force. */
  shadow: Shadow | undefined;
  shadowStatus: (() => PolicyStatus) | undefined;
  decider: Decider;
  store: CounterStore;
  owed: OwedJournal;
  going: Going;
  /** Undefined: decisions are not logged. */
  decisionLog: DecisionLog | undefined;
  metrics: DecisionMetrics;
  usageReports: UsageReports;
  /** Undefined: nothing is traced. */
  tracing: Tracing | undefined;
  peps: Peps;
  durations: HttpDurations;
  /** Of all processes that share the port, as Prometheus reads them. */
  allMetrics: () => Promise<string>;
  environment: Environment;
  identities: Identities;
  granted: Granted;
  keyChanges: KeyChanges;
  notices: Notices | undefined;
  /** What is known of the models of provider accounts. */
  health: HealthView;
  providerReports: ProviderReports;
  config: () => Config;
  configStatus: () => ConfigStatus;
  /** Undefined: the admin's routes are closed, and say how to open them. */
  adminToken: string | undefined;
  labels: Labels;
  clock: Clock;
  log: Log;
}

export interface SidecarApp {
  app: Hono;
  /** Undefined: every request goes through the app, which traces it. */
  direct: Direct | undefined;
}

/** The sidecar's routes. Knows nothing of sockets and signals. */
export function createApp(deps: AppDeps): SidecarApp {
  const { environment } = deps;
  const app = new Hono();
  app.onError((error, c) => failure(error, { path: c.req.path, route: c.req.routePath }, deps.log));
  app.notFound(notFound);
  if (deps.tracing) app.use(deps.tracing.requests);
  app.use(httpMetrics(deps.durations, deps.clock), commonToAllPaths);
  app.route('/', healthRoutes(deps));
  const authenticated = authenticate(deps.identities);
  for (const path of ['/', '/v0/*', '/v1/*']) app.use(path, authenticated);
  for (const path of ['/v1/status', '/v1/status/*', '/v1/config']) app.use(path, serviceOnly);
  const data = {
    ...deps,
    maxBodyBytes: environment.MAX_BODY_BYTES,
    gzipMinLength: environment.GZIP_MIN_BYTES,
    version: deps.labels.version,
  };
  app.route('/', dataRoutes(data));
  app.route('/', dataV0Routes(data));
  app.route('/', batchRoutes(data));
  app.route('/', usageRoutes(data));
  app.route('/', pepRoutes(data));
  app.route('/', decisionRoutes(deps));
  app.route('/', statusRoutes(deps));
  app.route('/', providerStatusRoutes(deps));
  app.route('/', authzRoutes(deps));
  app.route('/', adminRoutes(deps));
  app.route('/', notOfferedRoutes());
  return { app, direct: deps.tracing ? undefined : directData(data) };
}

/** As Go's server answers, so that a client sees no difference between a path that OPA has not and one that we have not. */
const notFound = (c: Context) =>
  c.body('404 page not found\n', 404, {
    'Content-Type': 'text/plain; charset=utf-8',
    'X-Content-Type-Options': 'nosniff',
  });
