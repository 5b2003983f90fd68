import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { packageRoot } from '../../runtime/package-root.ts';

/**
 * Traefik and Envoy are no packages of Debian, so that these tests are without them: the examples' fields are compared with
 * what the documentation of Traefik 3 and of Envoy's v3 API names. forward-auth-installed.test.ts starts them where they are.
 */
const example = async (file: string) => parse(await readFile(join(packageRoot, 'deploy', file), 'utf8'));

const TOLD = ['x-tenant-id', 'x-team-id', 'x-user-id', 'x-decision-id', 'x-credential-id'];
const CLAIMED = [...TOLD, 'x-forwarded-email'];
const KEYS = ['x-api-key', 'authorization'];
/** What a line of the access log is made of: no header but these, and no query. */
const LOGGED_BY_ENVOY = {
  start_time: '%START_TIME%',
  request_id: '%REQ(X-REQUEST-ID)%',
  method: '%REQ(:METHOD)%',
  path: '%REQ_WITHOUT_QUERY(:PATH)%',
  response_code: '%RESPONSE_CODE%',
  duration: '%DURATION%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  tenant_id: '%REQ(X-TENANT-ID)%',
  team_id: '%REQ(X-TEAM-ID)%',
  user_id: '%REQ(X-USER-ID)%',
  credential_id: '%REQ(X-CREDENTIAL-ID)%',
  decision_id: '%REQ(X-DECISION-ID)%',
};
const lower = (names: string[]) => names.map((name) => name.toLowerCase());

const removing = z.strictObject({
  headers: z.strictObject({ customRequestHeaders: z.record(z.string(), z.literal('')) }),
});
const traefik = z.strictObject({
  http: z.strictObject({
    routers: z.strictObject({
      openclaw: z.strictObject({
        entryPoints: z.tuple([z.literal('openclaw')]),
        rule: z.literal('PathPrefix(`/`)'),
        service: z.literal('openclaw'),
        middlewares: z.array(z.string()),
      }),
    }),
    middlewares: z.strictObject({
      'body-limit': z.strictObject({ buffering: z.strictObject({ maxRequestBodyBytes: z.int().positive() }) }),
      'clients-claims': removing,
      'ask-the-sidecar': z.strictObject({
        forwardAuth: z.strictObject({
          address: z.url(),
          authRequestHeaders: z.array(z.string()),
          authResponseHeaders: z.array(z.string()),
        }),
      }),
      'clients-key': removing,
    }),
    services: z.strictObject({
      openclaw: z.strictObject({
        loadBalancer: z.strictObject({ servers: z.tuple([z.strictObject({ url: z.url() })]) }),
      }),
    }),
  }),
});

test('the example for Traefik has documented fields alone, strips what clients claim, and asks /authz before it passes on', async () => {
  const { middlewares, routers, services } = traefik.parse(await example('traefik/openclaw.yaml')).http;
  expect(routers.openclaw.middlewares).toEqual(['clients-claims', 'body-limit', 'ask-the-sidecar', 'clients-key']);
  const { address, authRequestHeaders, authResponseHeaders } = middlewares['ask-the-sidecar'].forwardAuth;
  expect(address).toBe('http://127.0.0.1:8181/authz');
  expect(lower(authRequestHeaders)).toEqual(KEYS);
  expect(lower(authResponseHeaders)).toEqual(TOLD);
  expect(lower(Object.keys(middlewares['clients-claims'].headers.customRequestHeaders))).toEqual(CLAIMED);
  expect(lower(Object.keys(middlewares['clients-key'].headers.customRequestHeaders))).toEqual(KEYS);
  expect(services.openclaw.loadBalancer.servers[0].url).toBe('http://127.0.0.1:18789');
});

const kept = (names: string[]) => z.strictObject(Object.fromEntries(names.map((name) => [name, z.literal('keep')])));
const traefikStart = z.strictObject({
  entryPoints: z.strictObject({ openclaw: z.strictObject({ address: z.literal('127.0.0.1:8080') }) }),
  providers: z.strictObject({ file: z.strictObject({ filename: z.literal('/etc/traefik/openclaw.yaml') }) }),
  accessLog: z.strictObject({
    filePath: z.string(),
    format: z.literal('json'),
    fields: z.strictObject({
      defaultMode: z.literal('drop'),
      names: kept([
        'StartUTC',
        'RequestMethod',
        'RequestPath',
        'DownstreamStatus',
        'Duration',
        'RequestContentSize',
        'DownstreamContentSize',
      ]),
      queryParameters: z.strictObject({ defaultMode: z.literal('drop') }),
      headers: z.strictObject({
        defaultMode: z.literal('drop'),
        names: kept(['X-Tenant-Id', 'X-Team-Id', 'X-User-Id', 'X-Credential-Id', 'X-Decision-Id']),
      }),
    }),
  }),
});

test('Traefik logs no header but who it is, and no query', async () => {
  traefikStart.parse(await example('traefik/traefik.yaml'));
});

const address = z.strictObject({
  socket_address: z.strictObject({ address: z.literal('127.0.0.1'), port_value: z.int() }),
});
const exactly = z.strictObject({ patterns: z.array(z.strictObject({ exact: z.string() })) });
const TYPES = 'type.googleapis.com/envoy.extensions.filters';

const filter = <Fields extends z.core.$ZodLooseShape>(name: string, type: string, fields: Fields) =>
  z.strictObject({
    name: z.literal(name),
    typed_config: z.strictObject({ '@type': z.literal(`${TYPES}.${type}`), ...fields }),
  });

const httpFilters = z.tuple([
  filter('envoy.filters.http.header_mutation', 'http.header_mutation.v3.HeaderMutation', {
    mutations: z.strictObject({ request_mutations: z.array(z.strictObject({ remove: z.string() })) }),
  }),
  filter('envoy.filters.http.buffer', 'http.buffer.v3.Buffer', { max_request_bytes: z.int().positive() }),
  filter('envoy.filters.http.ext_authz', 'http.ext_authz.v3.ExtAuthz', {
    transport_api_version: z.literal('V3'),
    failure_mode_allow: z.literal(false),
    status_on_error: z.strictObject({ code: z.literal('ServiceUnavailable') }),
    allowed_headers: exactly,
    http_service: z.strictObject({
      server_uri: z.strictObject({ uri: z.url(), cluster: z.string(), timeout: z.string().regex(/^\d+s$/) }),
      path_prefix: z.string(),
      authorization_response: z.strictObject({ allowed_upstream_headers: exactly }),
    }),
  }),
  filter('envoy.filters.http.router', 'http.router.v3.Router', {}),
]);

const route = z.strictObject({
  match: z.strictObject({ prefix: z.literal('/') }),
  route: z.strictObject({ cluster: z.string(), timeout: z.literal('0s') }),
  request_headers_to_remove: z.array(z.string()),
});
const accessLog = z.strictObject({
  name: z.literal('envoy.access_loggers.file'),
  typed_config: z.strictObject({
    '@type': z.literal('type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog'),
    path: z.string(),
    log_format: z.strictObject({
      formatters: z.tuple([
        z.strictObject({
          name: z.literal('envoy.formatter.req_without_query'),
          typed_config: z.strictObject({
            '@type': z.literal('type.googleapis.com/envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery'),
          }),
        }),
      ]),
      json_format: z.record(z.string(), z.string()),
    }),
  }),
});
const connectionManager = filter(
  'envoy.filters.network.http_connection_manager',
  'network.http_connection_manager.v3.HttpConnectionManager',
  {
    stat_prefix: z.string(),
    access_log: z.tuple([accessLog]),
    route_config: z.strictObject({
      virtual_hosts: z.tuple([
        z.strictObject({ name: z.string(), domains: z.tuple([z.literal('*')]), routes: z.tuple([route]) }),
      ]),
    }),
    http_filters: httpFilters,
  },
);
const cluster = z.strictObject({
  name: z.string(),
  type: z.literal('STATIC'),
  connect_timeout: z.literal('1s').optional(),
  load_assignment: z.strictObject({
    cluster_name: z.string(),
    endpoints: z.tuple([
      z.strictObject({ lb_endpoints: z.tuple([z.strictObject({ endpoint: z.strictObject({ address }) })]) }),
    ]),
  }),
});
const envoy = z.strictObject({
  static_resources: z.strictObject({
    listeners: z.tuple([
      z.strictObject({
        name: z.string(),
        address,
        filter_chains: z.tuple([z.strictObject({ filters: z.tuple([connectionManager]) })]),
      }),
    ]),
    clusters: z.array(cluster),
  }),
});

test('the example for Envoy has documented fields alone, strips what clients claim, and asks /authz before it passes on', async () => {
  const { clusters, listeners } = envoy.parse(await example('envoy/openclaw.yaml')).static_resources;
  const { access_log, http_filters, route_config } = listeners[0].filter_chains[0].filters[0].typed_config;
  const [mutation, , authz] = http_filters;
  expect(access_log[0].typed_config.log_format.json_format).toEqual(LOGGED_BY_ENVOY);
  const removed = mutation.typed_config.mutations.request_mutations.map(({ remove }) => remove);
  expect(removed).toEqual(CLAIMED);
  const { allowed_headers, http_service } = authz.typed_config;
  expect(allowed_headers.patterns).toEqual([{ exact: 'x-api-key' }]);
  expect(http_service.path_prefix).toBe('/authz?package=openclaw/rate_limit&asked=');
  expect(http_service.authorization_response.allowed_upstream_headers.patterns.map(({ exact }) => exact)).toEqual(TOLD);
  const [passedOn] = route_config.virtual_hosts[0].routes;
  expect(passedOn.request_headers_to_remove).toEqual(KEYS);
  const ports = clusters.map(({ load_assignment: { cluster_name, endpoints } }) => [
    cluster_name,
    endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value,
  ]);
  expect(clusters.map(({ name }) => name)).toEqual([passedOn.route.cluster, http_service.server_uri.cluster]);
  expect(ports).toEqual([
    [passedOn.route.cluster, 18789],
    [http_service.server_uri.cluster, 8181],
  ]);
});
