import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { Child } from '../helpers/child.ts';
import { freePort } from '../helpers/free-port.ts';
import { fullLength } from '../helpers/full-length.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';

interface Locked {
  version: string;
  license?: string;
  dev?: boolean;
}

/** Runs it with nothing of the environment but what npm needs, and the package registry that is given. */
async function npm(args: string[], registry = 'http://127.0.0.1:9') {
  const env = { npm_config_registry: registry, npm_config_cache: await tempDir('npm') };
  const child = new Child('npm', { args: ['run', '--silent', ...args], cwd: packageRoot, env });
  const { code } = await child.exited;
  return { code, output: child.output.join('\n') };
}

test('the bill of materials has each package that the services run on, with version, hash and licence, and no other', {
  timeout: 60_000,
}, async () => {
  const { code, output } = await npm(['sbom']);
  expect(code).toBe(0);
  const bill = JSON.parse(output.slice(output.indexOf('{'), output.lastIndexOf('}') + 1));
  expect(bill).toMatchObject({
    bomFormat: 'CycloneDX',
    metadata: { component: { name: 'openclaw-rating', type: 'application' } },
  });
  const { packages } = JSON.parse(await readFile(join(packageRoot, 'package-lock.json'), 'utf8'));
  const runOn = Object.entries(packages as Record<string, Locked>).filter(([path, one]) => path && !one.dev);
  const named = runOn.map(([path, { version }]) => `${path.split('node_modules/').at(-1)}@${version}`);
  const components: { name: string; version: string; hashes: object[]; licenses: object[] }[] = bill.components;
  expect(new Set(components.map(({ name, version }) => `${name}@${version}`))).toEqual(new Set(named));
  expect(named).toEqual(expect.arrayContaining([expect.stringMatching(/^hono@/)]));
  for (const { hashes, licenses } of components) expect([hashes.length, licenses.length]).toEqual([1, 1]);
});

/** A package registry that knows these weaknesses; undefined: one that cannot be asked for any. */
async function startRegistry(weaknesses: object | undefined): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    const asked = request.url?.endsWith('/security/advisories/bulk');
    if (!asked) response.writeHead(404).end('{}');
    else if (!weaknesses) response.writeHead(405).end();
    else response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(weaknesses));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  atTestEnd(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const WEAKNESS = {
  id: 1,
  url: 'https://example.com/1',
  title: 'Anyone may do anything',
  severity: 'high',
  vulnerable_versions: '<999',
  cwe: [],
  cvss: { score: 9, vectorString: null },
};

test('a dependency with a known weakness ends the audit with 1, and what needs it are named', {
  timeout: 60_000,
}, async () => {
  const { code, output } = await npm(['audit:dependencies'], await startRegistry({ yaml: [WEAKNESS] }));
  expect(output).toMatch(/^high {2}yaml .*: Anyone may do anything \(https:\/\/example.com\/1\)\./m);
  expect(output).toMatch(/^high {2}@open-policy-agent\/opa-wasm .*: by yaml/m);
  expect(output).toMatch(/\d+ dependencies audited, 2 with a known weakness/);
  expect(code).toBe(1);
});

test('a registry that tells nothing of weaknesses is not taken for one that knows none', {
  timeout: 60_000,
}, async () => {
  const { code, output } = await npm(['audit:dependencies'], await startRegistry(undefined));
  expect(output).toMatch(/were NOT audited: 405/);
  expect(code).toBe(2);
});

test.runIf(fullLength)('none known is 0, no network is 2', { timeout: 120_000 }, async () => {
  const clean = await npm(['audit:dependencies'], await startRegistry({}));
  expect(clean).toEqual({
    code: 0,
    output: expect.stringMatching(/^\d+ dependencies audited, 0 with a known weakness$/),
  });
  const away = await npm(['audit:dependencies'], `http://127.0.0.1:${await freePort()}`);
  expect(away).toEqual({ code: 2, output: expect.stringMatching(/were NOT audited: .+/) });
});
