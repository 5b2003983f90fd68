import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';

const { pinnedVersion } = (await import(/* @vite-ignore */ new URL('../bring-opa.mjs', import.meta.url).href)) as {
  pinnedVersion(): Promise<string>;
};

test('editors check with the pinned opa, the policies and the schemas of this project', async () => {
  const settings = JSON.parse(await readFile(join(packageRoot, '.vscode', 'settings.json'), 'utf8'));
  const inProject = (path: string) => path.replace(/^\$\{workspaceFolder\}\//, '');
  expect(inProject(settings['opa.dependency_paths.opa'])).toBe(`.cache/opa-${await pinnedVersion()}/opa`);
  for (const path of [settings['opa.schema'], ...settings['opa.roots']]) {
    expect(existsSync(join(packageRoot, inProject(path))), path).toBe(true);
  }
});
