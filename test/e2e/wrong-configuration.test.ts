import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { startProcess } from '../helpers/process.ts';
import { tempDir } from '../helpers/temp-dir.ts';

/** A start with a wrong configuration ends at once, and says where, what, and what would be right. */
async function startWith(
  change: (text: string) => string,
  environment: Record<string, string> = {},
  name = 'tenants.yaml',
) {
  const [config, data] = await Promise.all([tempDir(), tempDir()]);
  await cp(join(packageRoot, 'config'), config, { recursive: true });
  const file = join(config, name);
  await writeFile(file, change(await readFile(file, 'utf8')));
  const process = await startProcess({
    script: 'dist/runtime/start.js',
    env: { PORT: '0', BILLING_PORT: '0', CONFIG_DIR: config, DATA_DIR: data, ...environment },
  });
  const { code } = await process.exited;
  return { code, said: process.output.join('\n').replaceAll(config, 'config') };
}

const unchanged = (text: string) => text;

test.each([
  [
    'an unknown key',
    (text: string) => text.replace('acme: {}', 'acme: { capcity: 5 }'),
    /config\/tenants\.yaml:\d+:\d+: tenants\.acme\.capcity: unknown key; known here: capacity, /,
  ],
  [
    'a negative capacity',
    (text: string) => text.replace('capacity: 50000', 'capacity: -50000'),
    /config\/tenants\.yaml:\d+:\d+: tenants\.globex\.capacity: must be a whole number from 0 to \d+ \(it is -50000\)/,
  ],
  ['bad YAML', (text: string) => `${text}\n  - [`, /config\/tenants\.yaml:\d+:\d+: not valid YAML: /],
  [
    'an unknown time zone',
    (text: string) => text.replace('timezone: UTC', 'timezone: Mars/Olympus'),
    /config\/tenants\.yaml:\d+:\d+: .*timezone: must be a known time zone, .* \(it is "Mars\/Olympus"\)/,
  ],
])('%s', async (_, change, problem) => {
  const { code, said } = await startWith(change);
  expect(said).toMatch(problem);
  expect(said).not.toMatch(/^ +at /m);
  expect(code).toBe(1);
});

test('providers.yaml: an unknown key of a chain', async () => {
  const { code, said } = await startWith(
    (text) => text.replace('\nmodels: {}', '\nmodels: { a/b: { fallback: { models: [a/c], max: 3 } } }'),
    {},
    'providers.yaml',
  );
  expect(said).toMatch(
    /config\/providers\.yaml:\d+:\d+: models\.a\/b\.fallback\.max: unknown key; known here: models, on, maxAttempts/,
  );
  expect(said).not.toMatch(/^ +at /m);
  expect(code).toBe(1);
});

test('a missing bundle', async () => {
  const { code, said } = await startWith(unchanged, { POLICY_BUNDLE: '/nowhere/bundle.tar.gz' });
  expect(said).toMatch(/\/nowhere\/bundle\.tar\.gz: there is no such file; POLICY_BUNDLE must name a bundle/);
  expect(code).toBe(1);
});

test('corrupt bundles', { timeout: 60_000 }, async () => {
  const whole = await readFile(join(packageRoot, 'policies/dist/bundle.tar.gz'));
  const folder = await tempDir();
  const broken = {
    'half of it': whole.subarray(0, whole.length / 2),
    'no gzip': Buffer.from('not a bundle'),
    empty: Buffer.alloc(0),
  };
  for (const [name, bytes] of Object.entries(broken)) {
    const file = join(folder, `${name.replaceAll(' ', '-')}.tar.gz`);
    await writeFile(file, bytes);
    const { code, said } = await startWith(unchanged, { POLICY_BUNDLE: file });
    expect(said, name).toContain(`${file}: not a whole gzip file`);
    expect(code).toBe(1);
  }
});

test('every problem of one start is told at once', async () => {
  const { said } = await startWith((text) => text.replace('acme: {}', 'acme: { a: 1, b: 2 }'));
  expect(said.match(/unknown key/g)).toHaveLength(2);
});

test('an address that others reach, with no token', async () => {
  const { code, said } = await startWith(unchanged, { HOST: '0.0.0.0' });
  expect(said).toMatch(/OPA_TOKEN must be set, because HOST=0\.0\.0\.0/);
  expect(code).toBe(1);
});
