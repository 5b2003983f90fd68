import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { tempDir } from '../test/helpers/temp-dir.ts';
import { loadScript } from '../test/setup/scripts.ts';

const { checkNode, ensureDependencies } = await loadScript('install.mjs');

test('refuses a Node that is too old', () => {
  for (const version of ['18.20.4', '20.14.0']) {
    expect(() => checkNode(version)).toThrow(`Node 20.15 or later is needed; this is Node ${version}`);
  }
  for (const version of ['20.15.0', '20.20.2', '22.0.0', '24.1.0']) expect(() => checkNode(version)).not.toThrow();
});

/** A project whose one dependency lies in a folder of it, so that npm needs no network. */
async function project(): Promise<string> {
  const root = await tempDir('project');
  await mkdir(join(root, 'dependency'));
  await writeFile(join(root, 'dependency', 'package.json'), JSON.stringify({ name: 'dependency', version: '1.0.0' }));
  const manifest = { name: 'project', version: '1.0.0', dependencies: { dependency: 'file:dependency' } };
  await writeFile(join(root, 'package.json'), JSON.stringify(manifest));
  await promisify(execFile)('npm', ['install', '--package-lock-only', '--offline'], { cwd: root });
  return root;
}

test('installs what is missing or older than the lockfile, once, and nothing when it is current', async () => {
  const root = await project();
  const installed = join(root, 'node_modules', 'dependency', 'package.json');
  const lines: string[] = [];
  const ensure = () => ensureDependencies({ root, log: (line) => lines.push(line) });

  await Promise.all([ensure(), ensure()]);
  expect([existsSync(installed), lines.length]).toEqual([true, 1]);
  await ensure();
  expect(lines).toHaveLength(1);

  const later = new Date(Date.now() + 2_000);
  await utimes(join(root, 'package-lock.json'), later, later);
  await ensure();
  expect(lines).toHaveLength(2);

  await rm(join(root, 'package-lock.json'));
  await expect(ensure()).rejects.toThrow('has no package-lock.json');
});

test('says so when npm fails', async () => {
  const root = await project();
  await writeFile(join(root, '.npmrc'), 'engine-strict=true');
  await writeFile(
    join(root, 'dependency', 'package.json'),
    JSON.stringify({ name: 'dependency', engines: { node: '1' } }),
  );
  await promisify(execFile)('npm', ['install', '--package-lock-only', '--offline', '--no-engine-strict'], {
    cwd: root,
  });
  await expect(ensureDependencies({ root, log: () => undefined })).rejects.toThrow('npm ci ended with 1');
});
