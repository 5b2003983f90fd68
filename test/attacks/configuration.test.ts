import { cp, rename, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { ConfigError } from '../../runtime/config/config-error.ts';
import { readYamlFile } from '../../runtime/config/yaml-file.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { tenantsSchema } from '../../schemas/config/tenants.ts';
import { eventually } from '../helpers/eventually.ts';
import { startProcess } from '../helpers/process.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { ask, get } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { PROBED, standingOf } from './fuzz/standing.ts';

const MIB = 1_048_576;
const HEAD =
  'defaults: { capacity: 10000, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month } }\n';

/** Nine lists of nine of the one before: 387,420,489 words. */
const laughs = () => {
  const levels = Array.from({ length: 9 }, (_, level) => {
    const items = level === 0 ? Array(9).fill('lol') : Array(9).fill(`*l${level - 1}`);
    return `l${level}: &l${level} [${items.join(', ')}]`;
  });
  return `${levels.join('\n')}\n`;
};

const BOMBS: [string, () => string, RegExp][] = [
  ['aliases of aliases', () => HEAD + laughs(), /cannot be read: .*alias/],
  ['an alias of itself', () => `${HEAD}tenants: &a { acme: *a }\n`, /tenants/],
  ['lists in lists', () => `${HEAD}tenants: ${'['.repeat(4_000)}${']'.repeat(4_000)}\n`, /call stack/],
  ['maps in maps', () => `${HEAD}tenants: ${'{a: '.repeat(4_000)}1${'}'.repeat(4_000)}\n`, /call stack/],
  ['many digits', () => `${HEAD}tenants: { acme: { capacity: ${'9'.repeat(10_000)} } }\n`, /acme\.capacity: /],
  ['a value where a map belongs', () => `${HEAD}tenants: { ${'k'.repeat(1_000)}: 1 }\n`, /tenants\.k+: /],
  ['two documents', () => `${HEAD}---\n${HEAD}`, /not valid YAML/],
  ['a tag that makes something', () => `${HEAD}tenants: !!js/function "function () { throw 1 }"\n`, /tenants: /],
  [
    'a name that no object can have',
    () => `${HEAD}tenants: { __proto__: { capacity: 7 } }\n`,
    /yaml:2:12: .*__proto__/,
  ],
  ['bytes that are no text', () => `${HEAD}\u0000\u0001\u0007`, /not valid YAML/],
];

test.each(BOMBS)('%s: the file is refused, and says why', async (_, bomb, reason) => {
  const file = join(await tempDir('bomb'), 'file.yaml');
  await writeFile(file, bomb());
  const read = () => readYamlFile(file, tenantsSchema);
  expect(read).toThrow(ConfigError);
  expect(read).toThrow(reason);
});

test('a file of more than 32 MiB is refused unread', async () => {
  const file = join(await tempDir('bomb'), 'file.yaml');
  await writeFile(file, HEAD);
  await truncate(file, 32 * MIB + 1);
  expect(() => readYamlFile(file, tenantsSchema)).toThrow(/larger than 33554432 bytes/);
});

let sidecar: Service;
let configDir: string;

beforeAll(async () => {
  const redis = await startRedis();
  configDir = join(await tempDir('config'), 'config');
  await cp(join(packageRoot, 'config'), configDir, { recursive: true });
  const env = { CONFIG_DIR: configDir, DATA_DIR: await tempDir('data'), REDIS_URL: redis.url };
  sidecar = await startSidecar({ ...PROBED, ...env, STORE_TIMEOUT_MS: '10000', POLICY_TIMEOUT_MS: '10000' });
}, 60_000);

async function put(text: string): Promise<void> {
  await writeFile(join(configDir, 'tenants.new'), text);
  await rename(join(configDir, 'tenants.new'), join(configDir, 'tenants.yaml'));
}

const problems = async () => (await get(`${sidecar.url}/v1/status`)).body.result.config.problems.join('\n');

test('a bomb that comes while it runs is refused, and what was before goes on', { timeout: 60_000 }, async () => {
  await put(HEAD + laughs());
  const refused = async () => expect(await problems()).toMatch(/tenants\.yaml: cannot be read: .*alias/);
  await eventually(refused, { timeoutMs: 30_000 });
  expect(await ask(sidecar.url, { tenant_id: 'acme' })).toMatchObject({ status: 200, body: { result: true } });
});

test('names that every object has are names of tenants like any other', { timeout: 60_000 }, async () => {
  const tenants = 'constructor: { capacity: 8 }, hasOwnProperty: { capacity: 9 }';
  await put(`${HEAD}tenants: { ${tenants} }\n`);
  await eventually(async () => expect(await problems()).toBe(''), { timeoutMs: 30_000 });
  const left = async (tenant: string) => {
    const { headers } = await ask(sidecar.url, { tenant_id: tenant });
    return Number(/r=(\d+)/.exec(headers.get('RateLimit') ?? '')?.[1]);
  };
  expect(await left('constructor')).toBe(7);
  expect(await left('hasOwnProperty')).toBe(8);
  expect(await left('__proto__')).toBe(9_999);
  expect((await standingOf(sidecar.process)).polluted).toEqual([]);
});

test('a process that starts with one says what is wrong, and ends', { timeout: 60_000 }, async () => {
  await put(HEAD + laughs());
  const started = await startProcess({
    script: 'dist/sidecar/main.js',
    env: { CONFIG_DIR: configDir, DATA_DIR: await tempDir('data'), PORT: '0' },
  });
  expect((await started.exited).code).toBe(1);
  expect(started.output.join('\n')).toMatch(/tenants\.yaml: cannot be read: .*alias/);
});
