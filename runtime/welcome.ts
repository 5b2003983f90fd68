import type { Environment } from './config/environment.ts';

export interface Started {
  sidecar: string;
  billing: string;
  adminToken: string | undefined;
  environment: Environment;
}

/** What `npm start` prints when everything is ready: where it is, what to try, what to look at next. */
export function welcome({ adminToken, billing, environment, sidecar }: Started): string {
  const { CONFIG_DIR, DATABASE_URL, DATA_DIR, OPA_TOKEN } = environment;
  const embedded = `embedded, in ${DATA_DIR}`;
  const counters = sharedStore(environment) ?? embedded;
  const bearer = OPA_TOKEN ? ' -H "Authorization: Bearer $OPA_TOKEN"' : '';
  const admin = adminToken ?? '$ADMIN_TOKEN';
  return `
  Ready.

    sidecar         ${sidecar}    counters: ${counters}
    billing worker  ${billing}    ledger: ${DATABASE_URL ? 'PostgreSQL' : embedded}

  Ask for a decision (true: allowed, one token taken from acme's bucket):

    curl -s${bearer} ${sidecar}/v1/data/openclaw/rate_limit/allow -d '{"input": {"tenant_id": "acme"}}'

  See what was used in this billing cycle:

    curl -s -H 'Authorization: Bearer ${admin}' '${billing}/v1/usage?tenant_id=acme'

  Watch it in a browser, signed in with the same token:

    ${billing}/admin

  Next: change a capacity in ${CONFIG_DIR}/tenants.yaml, which holds at once; read policies/README.md to change the rules.
  Ctrl-C ends it; buckets and ledger are kept.
`;
}

function sharedStore({ REDIS_CLUSTER_URLS, REDIS_URL, UPSTASH_REDIS_REST_URL }: Environment): string | undefined {
  if (REDIS_URL) return 'Redis';
  if (REDIS_CLUSTER_URLS) return 'Redis Cluster';
  return UPSTASH_REDIS_REST_URL ? 'Upstash' : undefined;
}
