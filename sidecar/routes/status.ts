import { Hono } from 'hono';
import type { Environment } from '../../runtime/config/environment.ts';
import type { PolicyStatus } from '../policy/status.ts';
import { activeConfig, type Labels } from './active-config.ts';
import { instant } from './instant.ts';
import { readOptions } from './options.ts';
import { pluginStates } from './plugin-states.ts';
import { reply } from './reply.ts';

export interface StatusDeps {
  environment: Environment;
  policyStatus: () => PolicyStatus;
  /** Undefined where there is no shadow policy. */
  shadowStatus: (() => PolicyStatus) | undefined;
  labels: Labels;
}

/**
 * `/v1/status`: https://www.openpolicyagent.org/docs/rest-api#status-api
 * `/v1/config`: https://www.openpolicyagent.org/docs/rest-api#config-api
 */
export function statusRoutes({ environment, labels, policyStatus, shadowStatus }: StatusDeps): Hono {
  const app = new Hono();
  app.get('/v1/status', (c) => {
    const status = policyStatus();
    const bundles = {
      policy: bundle('policy', status),
      ...(shadowStatus && { shadow: bundle('shadow', shadowStatus()) }),
    };
    const result = { labels, bundles, plugins: pluginStates(status) };
    return reply(c, { result }, { pretty: readOptions(c).pretty });
  });
  app.get('/v1/config', (c) => {
    return reply(c, { result: activeConfig(environment, labels) }, { pretty: readOptions(c).pretty });
  });
  return app;
}

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

const times = (given: Record<string, number | undefined>) =>
  Object.fromEntries(Object.entries(given).flatMap(([name, at]) => (at === undefined ? [] : [[name, instant(at)]])));
