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

const tokens = z
  .string()
  .transform((value) => value.split(',').map((token) => token.trim()))
  .pipe(z.array(text('one or more tokens, separated by commas, none of them empty')));

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
  POLICY_BUNDLE: text('a bundle file').default('policies/dist/bundle.tar.gz'),
  REDIS_URL: url('redis:', 'rediss:').optional(),
  DATABASE_URL: url('postgres:', 'postgresql:').optional(),
  DATA_DIR: text('a folder').default('.data'),
  RESERVATION_TTL_S: whole(1, 86_400, 'seconds').default(900),
  STORE_TIMEOUT_MS: whole(1, 60_000, 'milliseconds').default(250),
  ALLOW_VOLATILE_STORE: flag.default(false),
  POLICY_TIMEOUT_MS: whole(1, 60_000, 'milliseconds').default(250),
  MAX_BODY_BYTES: whole(1, 1_073_741_824, 'bytes').default(1_048_576),
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
  if (!parsed.data.OPA_TOKEN && !isLoopback(parsed.data.HOST)) {
    throw new ConfigError([
      `environment: OPA_TOKEN must be set, because HOST=${parsed.data.HOST} can be reached from other machines; ` +
        'set it to a long random string, or HOST to 127.0.0.1',
    ]);
  }
  return parsed.data;
}

/** The variables of this process, and of `.env` in the working folder for those that are not set. */
export function processEnvironment(): Environment {
  if (existsSync('.env')) process.loadEnvFile('.env');
  return readEnvironment(process.env);
}
