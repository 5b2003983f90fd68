import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const STORES = ['embedded', 'redis', 'upstash', 'cluster'];

interface Listed {
  name: string;
  file: string;
}

/** The stores that a promise has tests on, by the numbers in the names of all tests of this folder. */
async function shown(): Promise<Map<string, Set<string>>> {
  const file = join(await tempDir('promises'), 'tests.json');
  const vitest = join(packageRoot, 'node_modules/vitest/vitest.mjs');
  const folder = 'test/conformance';
  await promisify(execFile)(process.execPath, [vitest, 'list', `--json=${file}`, folder], { cwd: packageRoot });
  const stores = new Map<string, Set<string>>();
  for (const { file: path, name } of JSON.parse(await readFile(file, 'utf8')) as Listed[]) {
    const [, store = ''] = /(\w+)(?:-killed)?\.test\.ts$/.exec(path) ?? [];
    for (const [promise] of name.matchAll(/\bC\d+\b/g)) {
      stores.set(promise, (stores.get(promise) ?? new Set()).add(store));
    }
  }
  return stores;
}

/** The table in the documentation: a mark for each store that a promise is shown on. */
async function documented(): Promise<Map<string, boolean[]>> {
  const text = await readFile(join(packageRoot, 'docs/architecture.md'), 'utf8');
  const rows = text.matchAll(/^\| (C\d+) \|.*\| (\S+) \| (\S+) \| (\S+) \| (\S+) \|$/gm);
  return new Map([...rows].map(([, promise = '', ...marks]) => [promise, marks.map((mark) => mark === '✓')]));
}

test('the documentation says on which store each promise is shown, and it is', { timeout: 120_000 }, async () => {
  const [tests, table] = await Promise.all([shown(), documented()]);
  expect([...table.keys()]).toEqual(Array.from({ length: 19 }, (_, index) => `C${index + 1}`));
  for (const [promise, marks] of table) {
    const stores = tests.get(promise);
    expect([promise, ...marks]).toEqual([promise, ...STORES.map((store) => stores?.has(store) ?? false)]);
  }
});
