import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { loadScript } from '../../test/setup/scripts.ts';

const { completeLockfile } = await loadScript('lib/complete-lockfile.mjs');

test('adds the packages for other systems that are named and not there', () => {
  const tool = {
    version: '1.2.3',
    dev: true,
    engines: { node: '>=18' },
    optionalDependencies: {
      '@tool/cli-linux-x64': '1.2.3',
      '@tool/cli-linux-x64-musl': '1.2.3',
      '@tool/binding-win32-arm64-msvc': '1.2.3',
      'not-for-a-system': '1.0.0',
    },
  };
  const there = { version: '1.2.3', os: ['linux'], cpu: ['x64'], optional: true };
  const packages = { 'node_modules/tool': tool, 'node_modules/@tool/cli-linux-x64': there };
  const { lockfile, added } = completeLockfile({ packages });
  expect(added).toEqual(['@tool/cli-linux-x64-musl', '@tool/binding-win32-arm64-msvc']);
  const common = { version: '1.2.3', dev: true, optional: true, engines: { node: '>=18' } };
  expect(lockfile.packages).toEqual({
    ...packages,
    'node_modules/@tool/cli-linux-x64-musl': { ...common, os: ['linux'], cpu: ['x64'], libc: ['musl'] },
    'node_modules/@tool/binding-win32-arm64-msvc': { ...common, os: ['win32'], cpu: ['arm64'] },
  });
  expect(completeLockfile(lockfile).added).toEqual([]);
});

test('the project’s own lockfile is complete', async () => {
  const text = await readFile(new URL('../../package-lock.json', import.meta.url), 'utf8');
  expect(completeLockfile(JSON.parse(text)).added).toEqual([]);
});
