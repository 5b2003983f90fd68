import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { packageRoot } from '../package-root.ts';
import { ConfigError } from './config-error.ts';
import { environmentSchema, readEnvironment } from './environment.ts';

const problems = (variables: Record<string, string>) => {
  try {
    readEnvironment(variables);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).problems;
  }
  throw new Error('was accepted');
};

test('nothing set: everything has its default, on a loopback address', () => {
  expect(readEnvironment({})).toMatchObject({
    HOST: '127.0.0.1',
    PORT: 8181,
    BILLING_PORT: 8182,
    CONFIG_DIR: 'config',
  });
});

test('an empty variable is as good as none', () => {
  expect(readEnvironment({ PORT: '', REDIS_URL: '' })).toMatchObject({ PORT: 8181 });
});

test('tokens are separated by commas', () => {
  expect(readEnvironment({ OPA_TOKEN: 'new, old' }).OPA_TOKEN).toEqual(['new', 'old']);
});

test('nodes of a cluster are separated by commas', () => {
  const urls = ['redis://a:1', 'redis://b:2'];
  expect(readEnvironment({ REDIS_CLUSTER_URLS: urls.join(', ') }).REDIS_CLUSTER_URLS).toEqual(urls);
});

test('a flag is 1 or 0', () => {
  expect(readEnvironment({}).ALLOW_VOLATILE_STORE).toBe(false);
  expect(readEnvironment({ ALLOW_VOLATILE_STORE: '0' }).ALLOW_VOLATILE_STORE).toBe(false);
  expect(readEnvironment({ ALLOW_VOLATILE_STORE: '1' }).ALLOW_VOLATILE_STORE).toBe(true);
});

test('labels are pairs, separated by commas', () => {
  const { DECISION_LOG_LABELS } = readEnvironment({ DECISION_LOG_LABELS: 'app=checkout, region=eu=1,empty=' });
  expect(DECISION_LOG_LABELS).toEqual({ app: 'checkout', region: 'eu=1', empty: '' });
  expect(readEnvironment({}).DECISION_LOG_LABELS).toEqual({});
});

describe('is refused, with the variable and what would be right', () => {
  test.each([
    ['PORT', '70000', 'a TCP port from 0 to 65535'],
    ['STORE_TIMEOUT_MS', '1.5', 'milliseconds'],
    ['MAX_BODY_BYTES', '1e6', 'bytes'],
    ['ALLOW_VOLATILE_STORE', 'yes', '1 or 0'],
    ['REDIS_URL', 'localhost:6379', 'redis://'],
    ['REDIS_CLUSTER_URLS', 'redis://a:1,b:2', 'redis://'],
    ['ON_STORE_FAILURE', 'open', 'deny or allow'],
    ['STRIPE_SECRET_KEY', 'pk_test_1', 'sk_ or rk_'],
    ['STRIPE_WEBHOOK_SECRET', 'secret', 'whsec_'],
    ['STRIPE_API_BASE', 'http://stripe.example.com', 'https://, or with http:// on this machine'],
    ['STRIPE_COLLECTION', 'cash', 'send_invoice or charge_automatically'],
    ['MAX_DECISION_RECORDS', '0', 'records from 1'],
    ['DATABASE_URL', 'mysql://x', 'postgres://'],
    ['DATABASE_OWNER_URL', 'mysql://x', 'postgres://'],
    ['UPSTASH_REDIS_REST_URL', 'redis://x.upstash.io', 'https://'],
    ['UPSTASH_REDIS_REST_URL', 'https://default:hunter2@x.upstash.io', 'without a user and password'],
    ['UPSTASH_REDIS_REST_TOKEN', 'AX\nY', 'visible ASCII'],
    ['UPSTASH_REDIS_REST_TOKEN', ' AXY', 'visible ASCII'],
    ['LOG_LEVEL', 'loud', 'trace, debug, info'],
    ['OPA_TOKEN', 'a,,b', 'none of them empty'],
    ['POLICY_BUNDLE', 's3://bucket/b.tar.gz', 'https:// or http://'],
    ['POLICY_BUNDLE', 'https://u:hunter2@bundles', 'no user and password'],
    ['POLICY_BUNDLE_TOKEN', 'a b', 'visible ASCII'],
    ['POLICY_POLL_MS', '1', 'from 10'],
    ['POLICY_ENTRYPOINTS', 'a/b,', 'none of them empty'],
    ['DECISION_LOGS', 'console,syslog', 'console, file and http'],
    ['DECISION_LOG_CONTENT', 'all', 'known or full'],
    ['DECISION_LOG_LABELS', 'app', 'app=x'],
    ['DECISION_LOG_URL', 'https://u:hunter2@logs', 'without a user and password'],
    ['DECISION_LOG_FILES', '0', 'files from 1'],
  ])('%s=%s', (name, value, right) => {
    const [problem] = problems({ [name]: value });
    expect(problem).toContain(name);
    expect(problem).toContain(right);
  });

  test('every problem at once', () => {
    expect(problems({ PORT: 'x', LOG_LEVEL: 'y' })).toHaveLength(2);
  });

  test('no token on an address that others reach', () => {
    expect(problems({ HOST: '0.0.0.0' })[0]).toContain('OPA_TOKEN must be set');
    expect(readEnvironment({ HOST: '0.0.0.0', OPA_TOKEN: 't' }).HOST).toBe('0.0.0.0');
  });

  test('half an access to Upstash, and two stores at once', () => {
    const url = { UPSTASH_REDIS_REST_URL: 'https://x.upstash.io' };
    const token = { UPSTASH_REDIS_REST_TOKEN: 'AXY' };
    expect(problems(url)[0]).toContain('UPSTASH_REDIS_REST_TOKEN must be set as well');
    expect(problems(token)[0]).toContain('UPSTASH_REDIS_REST_URL must be set as well');
    expect(problems({ ...url, ...token, REDIS_URL: 'redis://x' })[0]).toContain('unset all but one');
    expect(readEnvironment({ ...url, ...token })).toMatchObject({ ...url, ...token });
  });

  test("an owner's database alone", () => {
    const owner = { DATABASE_OWNER_URL: 'postgres://owner:hunter2@db/rating' };
    expect(problems(owner)[0]).toContain('DATABASE_URL must be set as well');
    expect(problems(owner).join()).not.toContain('hunter2');
    const both = { ...owner, DATABASE_URL: 'postgres://worker:hunter2@db/rating' };
    expect(readEnvironment(both)).toMatchObject(both);
  });

  test('a service to log decisions to that is not used, or is missing', () => {
    const url = { DECISION_LOG_URL: 'https://logs.example.com' };
    expect(problems(url)[0]).toContain('DECISION_LOGS must name http');
    expect(problems({ ...url, DECISION_LOGS: 'console' })[0]).toContain('DECISION_LOGS must name http');
    expect(problems({ DECISION_LOGS: 'console,http' })[0]).toContain('DECISION_LOG_URL must be set');
    expect(readEnvironment({ ...url, DECISION_LOGS: 'file, http' }).DECISION_LOGS).toEqual(['file', 'http']);
  });

  test('a token for a bundle server where there is none', () => {
    const token = { POLICY_BUNDLE_TOKEN: 't' };
    expect(problems(token)[0]).toContain('POLICY_BUNDLE is a file');
    const url = { ...token, POLICY_BUNDLE: 'https://bundles.example.com/b.tar.gz?sig=x' };
    expect(readEnvironment(url)).toMatchObject(url);
  });

  test('a secret is not repeated', () => {
    expect(problems({ POLICY_BUNDLE: 'https://u:hunter2@host' }).join()).not.toContain('hunter2');
    expect(problems({ DATABASE_URL: 'mysql://user:hunter2@host' }).join()).not.toContain('hunter2');
    expect(problems({ UPSTASH_REDIS_REST_URL: 'https://u:hunter2@host' }).join()).not.toContain('hunter2');
    expect(problems({ UPSTASH_REDIS_REST_TOKEN: 'hunter2\n' }).join()).not.toContain('hunter2');
  });
});

test('.env.example lists every variable, and no other', () => {
  const text = readFileSync(join(packageRoot, '.env.example'), 'utf8');
  const listed = [...text.matchAll(/^#?([A-Z_]+)=/gm)].map(([, name]) => name);
  expect(listed.toSorted()).toEqual(Object.keys(environmentSchema.shape).toSorted());
});
