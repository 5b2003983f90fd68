import { type Context, Hono } from 'hono';
import type { Registry } from 'prom-client';
import type { CounterStore } from '../counters/contract.ts';
import type { PolicyStatus } from '../policy/status.ts';
import { flag } from './options.ts';
import { pluginStates } from './plugin-states.ts';
import { reply } from './reply.ts';

export interface HealthDeps {
  store: CounterStore;
  policyStatus: () => PolicyStatus;
  registry: Registry;
}

/** What prom-client writes is this format; that names keep to letters, digits and underscores is said as OPA says it. */
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores';

/**
 * `/health` as OPA: 200 `{}` while requests can be decided, 500 with the reason where not. `?bundles` and `?plugins` ask
 * for more. `/health/live`: the process answers. `/health/ready`: it has its policy and its counters. `/metrics`: Prometheus.
 */
export function healthRoutes(deps: HealthDeps): Hono {
  const app = new Hono();
  app.get('/health', async (c) =>
    health(c, (await storeProblem(deps)) ?? bundleProblem(c, deps) ?? pluginProblem(c, deps)),
  );
  app.get('/health/live', (c) => health(c, undefined));
  app.get('/health/ready', async (c) => health(c, policyProblem(deps) ?? (await storeProblem(deps))));
  app.get('/metrics', async (c) => c.body(await deps.registry.metrics(), 200, { 'Content-Type': METRICS_TYPE }));
  return app;
}

const health = (c: Context, error: string | undefined) =>
  error === undefined ? reply(c, {}) : reply(c, { error }, { status: 500 });

const storeProblem = ({ store }: HealthDeps): Promise<string | undefined> =>
  store.ping().then(
    () => undefined,
    (error: Error) => error.message,
  );

function policyProblem({ policyStatus }: HealthDeps): string | undefined {
  const { activeRevision, problem } = policyStatus();
  if (activeRevision !== undefined) return undefined;
  return `one or more bundles are not activated: ${problem?.message ?? 'the policy is not loaded yet'}`;
}

/** OPA knew this parameter under another name once. */
const bundleProblem = (c: Context, deps: HealthDeps) =>
  flag(c, 'bundles') || flag(c, 'bundle') ? policyProblem(deps) : undefined;

function pluginProblem(c: Context, { policyStatus }: HealthDeps): string | undefined {
  if (!flag(c, 'plugins')) return undefined;
  const excluded = new Set(c.req.queries('exclude-plugin'));
  const down = Object.entries(pluginStates(policyStatus())).filter(
    ([name, { state }]) => !excluded.has(name) && state !== 'OK',
  );
  return down.length ? `one or more plugins are not up: ${down.map(([name]) => name).join(', ')}` : undefined;
}
