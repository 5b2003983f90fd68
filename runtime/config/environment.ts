import { existsSync } from 'node:fs';
import { z } from 'zod';
import { ConfigError } from './config-error.ts';

const LOOPBACK = /^(127(\.\d{1,3}){3}|::1|localhost)$/;

const text = (what: string) => z.string().min(1, { error: `must be ${what}` });

const whole = (min: number, max: number, unit: string) => {
  const error = `must be a whole number of ${unit} from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d+$/, { error })
    .transform(Number)
    .pipe(z.int({ error }).min(min, { error }).max(max, { error }));
};

const url = (...schemes: string[]) =>
  z.string().refine((value) => URL.canParse(value) && schemes.includes(new URL(value).protocol), {
    error: `must be a URL that begins with ${schemes.map((scheme) => `${scheme}//`).join(' or ')}`,
  });

/** Some of a cluster's nodes: each names the others. */
const clusterUrls = z
  .string()
  .transform((value) => value.split(',').map((each) => each.trim()))
  .pipe(z.array(url('redis:', 'rediss:')));

/** The secret key of Stripe goes there: over TLS, or to this machine. */
const stripeBase = url('https:', 'http:').refine(
  (value) =>
    !URL.canParse(value) || value.startsWith('https:') || isLoopback(new URL(value).hostname.replace(/^\[|\]$/g, '')),
  { error: 'must be a URL that begins with https://, or with http:// on this machine' },
);

/** Credentials in a URL have no place in a request, and would be in its error messages. */
const restUrl = url('https:', 'http:').refine(
  (value) => !URL.canParse(value) || !(new URL(value).username || new URL(value).password),
  {
    error: 'must be a URL without a user and password',
  },
);

/** What can be sent in a header: of anything else, the error message would hold the token. */
const restToken = z.string().regex(/^[\x21-\x7e]+$/, { error: 'must be a token of visible ASCII characters' });

const tokens = z
  .string()
  .transform((value) => value.split(',').map((token) => token.trim()))
  .pipe(z.array(text('one or more tokens, separated by commas, none of them empty')));

const DECISION_LOG_SINKS = ['console', 'file', 'http'] as const;

/** Where decisions are logged. */
const sinks = z
  .string()
  .transform((value) => value.split(',').map((each) => each.trim()))
  .pipe(z.array(z.enum(DECISION_LOG_SINKS, { error: 'must be one or more of console, file and http' })));

/** `app=checkout,region=eu` */
const labels = z
  .string()
  .transform((value) => value.split(',').map((each) => /^\s*([\w.-]+)=([^,]*?)\s*$/.exec(each)))
  .refine((pairs) => pairs.every((pair) => pair !== null), {
    error: 'must be names and values, such as app=x,region=y',
  })
  .transform((pairs) => Object.fromEntries(pairs.map((pair) => [pair?.[1] ?? '', pair?.[2] ?? ''])));

const names = (what: string) =>
  z
    .string()
    .transform((value) => value.split(',').map((name) => name.trim()))
    .pipe(z.array(text(`${what}, separated by commas, none of them empty`)));

/** A path, or a URL of a bundle server. */
const bundle = text('a bundle file or a URL').refine(
  (value) => !/^[a-z][a-z0-9+.-]*:\/\//i.test(value) || restUrl.safeParse(value).success,
  { error: 'must be a file, or a URL that begins with https:// or http:// and has no user and password' },
);

/** `api-key=x,region=eu`, as OpenTelemetry has it: values are percent-encoded. */
const headerPairs = z
  .string()
  .transform((value) =>
    value.split(',').map((each) => /^\s*([\w!#$&'*+.^`|~-]+)=([\x21-\x2b\x2d-\x7e]*)\s*$/.exec(each)),
  )
  .refine((pairs) => pairs.every((pair) => pair !== null && canDecode(pair[2] ?? '')), {
    error: 'must be names and percent-encoded values, such as api-key=x,region=y',
  })
  .transform((pairs) =>
    Object.fromEntries(pairs.map((pair) => [pair?.[1] ?? '', decodeURIComponent(pair?.[2] ?? '')])),
  );

function canDecode(value: string): boolean {
  try {
    return decodeURIComponent(value) !== undefined;
  } catch {
    return false;
  }
}

const share = z
  .string()
  .regex(/^(0(\.\d+)?|1(\.0+)?)$/, { error: 'must be a number from 0 to 1' })
  .transform(Number);

const flag = z.enum(['0', '1'], { error: 'must be 1 or 0' }).transform((value) => value === '1');

const port = whole(0, 65_535, 'a TCP port');

/** Every variable there is, each with its default. `.env.example` lists the same; a test holds the two together. */
export const environmentSchema = z.object({
  HOST: text('an address to listen on').default('127.0.0.1'),
  PORT: port.default(8181),
  BILLING_PORT: port.default(8182),
  OPA_TOKEN: tokens.optional(),
  ADMIN_TOKEN: text('a token').optional(),
  CONFIG_DIR: text('a folder').default('config'),
  POLICY_BUNDLE: bundle.default('policies/dist/bundle.tar.gz'),
  POLICY_BUNDLE_TOKEN: restToken.optional(),
  SHADOW_POLICY_BUNDLE: bundle.optional(),
  SHADOW_POLICY_BUNDLE_TOKEN: restToken.optional(),
  POLICY_POLL_MS: whole(10, 86_400_000, 'milliseconds').default(60_000),
  POLICY_PUBLIC_KEY_FILE: text('a file of public keys').optional(),
  POLICY_ENTRYPOINTS: names('entrypoints').default([]),
  POLICY_IMPURE_BUILTINS: names('built-ins').default([]),
  REDIS_URL: url('redis:', 'rediss:').optional(),
  REDIS_CLUSTER_URLS: clusterUrls.optional(),
  UPSTASH_REDIS_REST_URL: restUrl.optional(),
  UPSTASH_REDIS_REST_TOKEN: restToken.optional(),
  DATABASE_URL: url('postgres:', 'postgresql:').optional(),
  DATABASE_OWNER_URL: url('postgres:', 'postgresql:').optional(),
  DATA_DIR: text('a folder').default('.data'),
  SIDECAR_URL: restUrl.optional(),
  LEDGER_RETENTION_MONTHS: whole(3, 1_200, 'months').optional(),
  CYCLE_GRACE_S: whole(0, 2_592_000, 'seconds').default(3_600),
  INVOICE_ISSUER: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,30}$/, { error: 'must be letters, digits and hyphens, such as ACME' })
    .default('INV'),
  STRIPE_SECRET_KEY: z
    .string()
    .regex(/^(sk|rk)_[\w-]+$/, { error: 'must be a secret or restricted key of Stripe, which begins with sk_ or rk_' })
    .optional(),
  STRIPE_WEBHOOK_SECRET: z
    .string()
    .regex(/^whsec_[\w+/=-]+$/, { error: 'must be the signing secret of a webhook endpoint, which begins with whsec_' })
    .optional(),
  STRIPE_API_BASE: stripeBase.optional(),
  STRIPE_COLLECTION: z
    .enum(['send_invoice', 'charge_automatically'], { error: 'must be send_invoice or charge_automatically' })
    .default('send_invoice'),
  STRIPE_DAYS_UNTIL_DUE: whole(0, 365, 'days').default(30),
  INVOICE_WEBHOOK_URL: restUrl.optional(),
  INVOICE_WEBHOOK_SECRET: text('a secret').optional(),
  RESERVATION_TTL_S: whole(1, 86_400, 'seconds').default(900),
  STORE_TIMEOUT_MS: whole(1, 60_000, 'milliseconds').default(250),
  ON_STORE_FAILURE: z.enum(['deny', 'allow'], { error: 'must be deny or allow' }).default('deny'),
  MAX_DECISION_RECORDS: whole(1, 1_000_000_000, 'records').default(5_000_000),
  ALLOW_VOLATILE_STORE: flag.default(false),
  POLICY_TIMEOUT_MS: whole(1, 60_000, 'milliseconds').default(250),
  MAX_BODY_BYTES: whole(1, 1_073_741_824, 'bytes').default(1_048_576),
  GZIP_MIN_BYTES: whole(0, 1_073_741_824, 'bytes').default(1_024),
  DRAIN_MS: whole(0, 600_000, 'milliseconds').default(0),
  WORKERS: whole(1, 256, 'processes').default(1),
  MAX_CONNECTIONS: whole(1, 1_000_000, 'connections').default(10_000),
  MAX_REQUESTS_IN_FLIGHT: whole(1, 1_000_000, 'requests').default(5_000),
  HEADERS_TIMEOUT_MS: whole(100, 600_000, 'milliseconds').default(10_000),
  REQUEST_TIMEOUT_MS: whole(100, 3_600_000, 'milliseconds').default(60_000),
  KEEP_ALIVE_TIMEOUT_MS: whole(100, 3_600_000, 'milliseconds').default(75_000),
  DECISION_LOGS: sinks.optional(),
  DECISION_LOG_CONTENT: z.enum(['known', 'full'], { error: 'must be known or full' }).default('known'),
  DECISION_LOG_LABELS: labels.default({}),
  DECISION_LOG_URL: restUrl.optional(),
  DECISION_LOG_TOKEN: restToken.optional(),
  DECISION_LOG_TIMEOUT_MS: whole(1, 600_000, 'milliseconds').default(10_000),
  DECISION_LOG_UPLOAD_BYTES: whole(1_024, 134_217_728, 'bytes').default(32_768),
  DECISION_LOG_SPOOL_BYTES: whole(65_536, 1_099_511_627_776, 'bytes').default(67_108_864),
  DECISION_LOG_FILE_BYTES: whole(4_096, 1_099_511_627_776, 'bytes').default(67_108_864),
  DECISION_LOG_FILES: whole(1, 1_000, 'files').default(5),
  NOTIFY_SLACK_URL: restUrl.optional(),
  NOTIFY_WEBHOOK_URL: restUrl.optional(),
  NOTIFY_WEBHOOK_SECRET: text('a secret').optional(),
  METRICS_MAX_LABEL_SETS: whole(0, 100_000, 'label sets').default(1_000),
  OTEL_EXPORTER_OTLP_ENDPOINT: restUrl.optional(),
  OTEL_EXPORTER_OTLP_HEADERS: headerPairs.default({}),
  OTEL_SERVICE_NAME: text('a name').optional(),
  OTEL_TRACES_SAMPLER_ARG: share.default(1),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
      error: 'must be trace, debug, info, warn, error, fatal or silent',
    })
    .default('info'),
});

export type Environment = z.infer<typeof environmentSchema>;

export const isLoopback = (host: string): boolean => LOOPBACK.test(host);

/** Reads and checks the variables. Throws `ConfigError` that lists everything wrong, never a value that may be secret. */
export function readEnvironment(variables: Record<string, string | undefined>): Environment {
  const set = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = environmentSchema.safeParse(set);
  if (!parsed.success) {
    throw new ConfigError(parsed.error.issues.map((issue) => `environment: ${String(issue.path[0])} ${issue.message}`));
  }
  const problems = mismatches(parsed.data);
  if (problems.length) throw new ConfigError(problems.map((problem) => `environment: ${problem}`));
  return parsed.data;
}

/** What is wrong with variables that are each right. */
function mismatches(environment: Environment): string[] {
  const { HOST, OPA_TOKEN, POLICY_BUNDLE, POLICY_BUNDLE_TOKEN } = environment;
  const { UPSTASH_REDIS_REST_TOKEN, UPSTASH_REDIS_REST_URL } = environment;
  const problems: string[] = [];
  if (!OPA_TOKEN && !isLoopback(HOST)) {
    problems.push(
      `OPA_TOKEN must be set, because HOST=${HOST} can be reached from other machines; ` +
        'set it to a long random string, or HOST to 127.0.0.1',
    );
  }
  if (environment.HEADERS_TIMEOUT_MS > environment.REQUEST_TIMEOUT_MS) {
    problems.push(
      'HEADERS_TIMEOUT_MS must not be longer than REQUEST_TIMEOUT_MS: the headers are a part of the request',
    );
  }
  if (POLICY_BUNDLE_TOKEN && !/^https?:/i.test(POLICY_BUNDLE)) {
    problems.push('POLICY_BUNDLE_TOKEN is for a bundle server, but POLICY_BUNDLE is a file; unset one of them');
  }
  if (environment.SHADOW_POLICY_BUNDLE_TOKEN && !/^https?:/i.test(environment.SHADOW_POLICY_BUNDLE ?? '')) {
    problems.push(
      'SHADOW_POLICY_BUNDLE_TOKEN is for a bundle server, but SHADOW_POLICY_BUNDLE is none; set that to a URL, or unset ' +
        'the token',
    );
  }
  if (UPSTASH_REDIS_REST_URL && !UPSTASH_REDIS_REST_TOKEN) {
    problems.push('UPSTASH_REDIS_REST_TOKEN must be set as well, because UPSTASH_REDIS_REST_URL is');
  }
  if (UPSTASH_REDIS_REST_TOKEN && !UPSTASH_REDIS_REST_URL) {
    problems.push('UPSTASH_REDIS_REST_URL must be set as well, because UPSTASH_REDIS_REST_TOKEN is');
  }
  if (environment.DECISION_LOGS?.includes('http') && !environment.DECISION_LOG_URL) {
    problems.push(
      'DECISION_LOG_URL must be set, because DECISION_LOGS names http; decisions are sent to its path /logs',
    );
  }
  if (environment.DECISION_LOG_URL && !environment.DECISION_LOGS?.includes('http')) {
    problems.push('DECISION_LOGS must name http, because DECISION_LOG_URL is set: nothing would be sent there');
  }
  if (Boolean(environment.NOTIFY_WEBHOOK_URL) !== Boolean(environment.NOTIFY_WEBHOOK_SECRET)) {
    problems.push(
      'NOTIFY_WEBHOOK_URL and NOTIFY_WEBHOOK_SECRET belong together: what is sent there is signed; set both, or none',
    );
  }
  if (Boolean(environment.INVOICE_WEBHOOK_URL) !== Boolean(environment.INVOICE_WEBHOOK_SECRET)) {
    problems.push(
      'INVOICE_WEBHOOK_URL and INVOICE_WEBHOOK_SECRET belong together: what is sent there is signed; set both, or none',
    );
  }
  if (environment.STRIPE_API_BASE && !environment.STRIPE_SECRET_KEY) {
    problems.push('STRIPE_SECRET_KEY must be set as well, because STRIPE_API_BASE is: nothing would be sent there');
  }
  if (environment.DATABASE_OWNER_URL && !environment.DATABASE_URL) {
    problems.push(
      'DATABASE_URL must be set as well, because DATABASE_OWNER_URL is: the first is of the role that the billing worker ' +
        'runs as, the second of the one that owns its tables',
    );
  }
  const stores = (['REDIS_URL', 'REDIS_CLUSTER_URLS', 'UPSTASH_REDIS_REST_URL'] as const).filter(
    (name) => environment[name],
  );
  if (stores.length > 1) {
    problems.push(`${stores.join(' and ')} are both set, but the counters are in one store; unset all but one`);
  }
  return problems;
}

/** The variables of this process, and of `.env` in the working folder for those that are not set. */
export function processEnvironment(): Environment {
  if (existsSync('.env')) process.loadEnvFile('.env');
  return readEnvironment(process.env);
}
