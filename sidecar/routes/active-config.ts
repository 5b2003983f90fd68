import type { Environment } from '../../runtime/config/environment.ts';

/** What tells this process from others, in status, configuration and decision logs. */
export interface Labels {
  id: string;
  version: string;
}

/** The process's own, and those that the operator gives: `id` and `version` cannot be given. */
export const labelsOf = (environment: Environment, labels: Labels): Record<string, string> => ({
  ...environment.DECISION_LOG_LABELS,
  ...labels,
});

/** Variables that hold no secret. One that is in neither list is not shown: a new one may hold a secret. */
const SHOWN = [
  'HOST',
  'PORT',
  'CONFIG_DIR',
  'DATA_DIR',
  'RESERVATION_TTL_S',
  'STORE_TIMEOUT_MS',
  'ON_STORE_FAILURE',
  'MAX_DECISION_RECORDS',
  'ALLOW_VOLATILE_STORE',
  'POLICY_POLL_MS',
  'POLICY_ENTRYPOINTS',
  'POLICY_IMPURE_BUILTINS',
  'POLICY_TIMEOUT_MS',
  'DECISION_LOGS',
  'DECISION_LOG_CONTENT',
  'DECISION_LOG_LABELS',
  'MAX_BODY_BYTES',
  'GZIP_MIN_BYTES',
  'LOG_LEVEL',
] as const satisfies (keyof Environment)[];

/** A user, a password and a query may be secrets; the rest says where it is. */
const ADDRESSES = [
  'POLICY_BUNDLE',
  'SHADOW_POLICY_BUNDLE',
  'DECISION_LOG_URL',
  'REDIS_URL',
  'REDIS_CLUSTER_URLS',
  'UPSTASH_REDIS_REST_URL',
] as const satisfies (keyof Environment)[];

/** The configuration in force, without its secrets. Its top level has OPA's names; `sidecar` are our own variables. */
export function activeConfig(environment: Environment, labels: Labels): object {
  const shown = SHOWN.map((name) => [name, environment[name]]);
  const addresses = ADDRESSES.map((name) => [name, withoutSecrets(environment[name])]);
  return {
    labels: labelsOf(environment, labels),
    default_decision: '/system/main',
    default_authorization_decision: '/system/authz/allow',
    sidecar: Object.fromEntries([...shown, ...addresses].filter(([, value]) => value !== undefined)),
  };
}

function withoutSecrets(address: string | string[] | undefined): string | string[] | undefined {
  if (Array.isArray(address)) return address.map((each) => withoutSecrets(each) as string);
  if (address === undefined || !/^[a-z]+:\/\//i.test(address)) return address;
  const url = new URL(address);
  return `${url.protocol}//${url.host}${url.pathname}`;
}
