import { type Context, Hono } from 'hono';
import type { CounterStore } from '../counters/contract.ts';
import { flag } from './options.ts';
import { type PluginDeps, pluginStates } from './plugin-states.ts';
import { reply } from './reply.ts';

/** A stop has begun: no load balancer should send more. What comes all the same is answered. */
export interface Going {
  readonly begun: boolean;
}

export interface HealthDeps extends PluginDeps {
  going: Going;
  store: Pick<CounterStore, 'ping'>;
  /** As Prometheus reads them. */
  allMetrics: () => Promise<string>;
}

/** What prom-client writes is this format; that names keep to letters, digits and underscores is said as OPA says it. */
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores';

/**
 * `/health` as OPA: 200 `{}` while the counters can be reached, 500 with the reason where not. `?bundles` asks for the policy
 * too, `?plugins` for all that OPA has as plugins. `/health/live`: the process answers. `/health/ready`: it has its policy and
 * its counters, and no stop has begun. `/metrics`: Prometheus.
 */
export function healthRoutes(deps: HealthDeps): Hono {
  const app = new Hono();
  app.get('/health', async (c) =>
    health(c, (await storeProblem(deps)) ?? bundleProblem(c, deps) ?? pluginProblem(c, deps)),
  );
  app.get('/health/live', (c) => health(c, undefined));
  app.get('/health/ready', async (c) =>
    health(c, goingProblem(deps) ?? policyProblem(deps) ?? (await storeProblem(deps))),
  );
  app.get('/metrics', async (c) => c.body(await deps.allMetrics(), 200, { 'Content-Type': METRICS_TYPE }));
  return app;
}

const health = (c: Context, error: string | undefined) =>
  error === undefined ? reply(c, {}) : reply(c, { error }, { status: 500 });

const storeProblem = ({ store }: HealthDeps): Promise<string | undefined> =>
  store.ping().then(
    () => undefined,
    (error: Error) => error.message,
  );

const goingProblem = ({ going }: HealthDeps) => (going.begun ? 'the process is about to end' : undefined);

function policyProblem({ policyStatus }: HealthDeps): string | undefined {
  const { activeRevision, problem } = policyStatus();
  if (activeRevision !== undefined) return undefined;
  return `one or more bundles are not activated: ${problem?.message ?? 'the policy is not loaded yet'}`;
}

/** OPA knew this parameter under another name once. */
const bundleProblem = (c: Context, deps: HealthDeps) =>
  flag(c, 'bundles') || flag(c, 'bundle') ? policyProblem(deps) : undefined;

function pluginProblem(c: Context, deps: HealthDeps): string | undefined {
  if (!flag(c, 'plugins')) return undefined;
  const excluded = new Set(c.req.queries('exclude-plugin'));
  const down = Object.entries(pluginStates(deps)).filter(([name, { state }]) => !excluded.has(name) && state !== 'OK');
  return down.length ? `one or more plugins are not up: ${down.map(([name]) => name).join(', ')}` : undefined;
}
