import { Hono } from 'hono';
import type { Environment } from '../../runtime/config/environment.ts';
import type { ConfigStatus } from '../../runtime/config/live-config.ts';
import type { SinkStatus } from '../decision-log/sink.ts';
import type { Peps } from '../peps/peps.ts';
import type { PolicyStatus } from '../policy/status.ts';
import { activeConfig, type Labels, labelsOf } from './active-config.ts';
import { instant } from './instant.ts';
import { readOptions } from './options.ts';
import { type PluginDeps, pluginStates } from './plugin-states.ts';
import { reply } from './reply.ts';

export interface StatusDeps extends PluginDeps {
  environment: Environment;
  /** Undefined where there is no shadow policy. */
  shadowStatus: (() => PolicyStatus) | undefined;
  labels: Labels;
  configStatus: () => ConfigStatus;
  peps: Peps;
}

/**
 * `/v1/status`: https://www.openpolicyagent.org/docs/rest-api#status-api
 * `/v1/config`: https://www.openpolicyagent.org/docs/rest-api#config-api
 */
export function statusRoutes(deps: StatusDeps): Hono {
  const { configStatus, decisionLog, environment, labels, peps, policyStatus, shadowStatus } = deps;
  const app = new Hono();
  app.get('/v1/status', (c) => {
    const bundles = {
      policy: bundle('policy', policyStatus()),
      ...(shadowStatus && { shadow: bundle('shadow', shadowStatus()) }),
    };
    const result = {
      labels: labelsOf(environment, labels),
      bundles,
      ...(decisionLog && { decision_logs: decisionLogs(decisionLog.status) }),
      plugins: pluginStates(deps),
      config: configFiles(configStatus()),
      peps: peps.list().map(({ lastSeen, ...pep }) => ({ ...pep, last_seen: instant(lastSeen) })),
    };
    return reply(c, { result }, { pretty: readOptions(c).pretty });
  });
  app.get('/v1/config', (c) => {
    return reply(c, { result: activeConfig(environment, labels) }, { pretty: readOptions(c).pretty });
  });
  return app;
}

/** OPA knows no such files. */
const configFiles = ({ loadedAt, problems, reloads }: ConfigStatus) => ({
  loaded_at: instant(loadedAt),
  reloads,
  problems,
});

/** In the names of OPA's status report: https://www.openpolicyagent.org/docs/management-status#status-service-api */
function bundle(name: string, status: PolicyStatus): object {
  const { activeRevision, kept, problem, size, source } = status;
  return {
    name,
    source: status.name,
    type: source,
    ...(activeRevision !== undefined && { active_revision: activeRevision }),
    ...(kept && { kept: true }),
    ...(size !== undefined && { size }),
    ...times({
      last_request: status.lastRequest,
      last_successful_request: status.lastSuccessfulRequest,
      last_successful_download: status.lastSuccessfulDownload,
      last_successful_activation: status.lastSuccessfulActivation,
    }),
    ...(problem && {
      code: problem.code,
      message: problem.message,
      reason: problem.reason,
      ...(problem.httpStatus !== undefined && { http_code: problem.httpStatus }),
    }),
  };
}

/** Empty while all is well. What is lost is said before what waits. */
function decisionLogs({ lost, upload }: SinkStatus): object {
  const message = lost ?? upload?.message;
  if (message === undefined) return {};
  return {
    code: 'decision_log_error',
    message,
    ...(lost === undefined && upload?.httpStatus !== undefined && { http_code: upload.httpStatus }),
  };
}

const times = (given: Record<string, number | undefined>) =>
  Object.fromEntries(Object.entries(given).flatMap(([name, at]) => (at === undefined ? [] : [[name, instant(at)]])));
