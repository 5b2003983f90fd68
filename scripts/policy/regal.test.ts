import { chmod, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../../test/helpers/temp-dir.ts';

const load = (name: string) => import(/* @vite-ignore */ new URL(name, import.meta.url).href);
const { findRegal } = (await load('../bring-regal.mjs')) as { findRegal(env: NodeJS.ProcessEnv): string | undefined };
const { lint } = (await load('regal.mjs')) as { lint(regal: string, sources: string, cwd: string): Promise<string[]> };

/** What stands for Regal: says what Regal says, in its format and with its exit code. */
async function saying(report: string, code: number): Promise<string> {
  const path = join(await tempDir(), 'regal');
  await writeFile(path, `#!/bin/sh\necho "$@" > "${path}.args"\ncat <<'END'\n${report}\nEND\nexit ${code}\n`);
  await chmod(path, 0o755);
  return path;
}

const VIOLATION = {
  title: 'line-length',
  description: 'Line too long',
  category: 'style',
  location: { file: 'policies/a.rego', row: 3, col: 121 },
};

test('is the one that is set, else the one on PATH, else none', async () => {
  const regal = await saying('{}', 0);
  expect(findRegal({ REGAL_BIN: regal, PATH: '' })).toBe(regal);
  expect(findRegal({ PATH: dirname(regal) })).toBe(regal);
  expect(findRegal({ PATH: await tempDir() })).toBeUndefined();
  expect(() => findRegal({ REGAL_BIN: '/nowhere/regal' })).toThrow('REGAL_BIN: there is no /nowhere/regal');
});

test('what it objects to is told with file and line', async () => {
  const regal = await saying(JSON.stringify({ violations: [VIOLATION] }), 3);
  expect(await lint(regal, 'policies', await tempDir())).toEqual([
    'policies/a.rego:3:121: Regal, style/line-length: Line too long',
  ]);
});

test('no objection is no problem; a failure is one', async () => {
  expect(await lint(await saying('{"violations": []}', 0), '.', await tempDir())).toEqual([]);
  expect(await lint(await saying('invalid configuration', 1), '.', await tempDir())).toEqual([
    expect.stringMatching(/^Regal failed: .*invalid configuration/s),
  ]);
});
