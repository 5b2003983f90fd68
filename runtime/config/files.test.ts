import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../../test/helpers/temp-dir.ts';
import { packageRoot } from '../package-root.ts';
import { ConfigError } from './config-error.ts';
import { loadConfig } from './files.ts';

/** What is said of the shipped files with some of them changed, without the folder. */
async function problemsWith(changes: Record<string, [string, string][]>): Promise<string[]> {
  const folder = await tempDir();
  await cp(join(packageRoot, 'config'), folder, { recursive: true });
  for (const [name, replacements] of Object.entries(changes)) {
    const file = join(folder, name);
    const text = await readFile(file, 'utf8');
    await writeFile(
      file,
      replacements.reduce((changed, [from, to]) => changed.replace(from, to), text),
    );
  }
  try {
    loadConfig(folder);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map((problem) => problem.replace(`${folder}/`, ''));
    throw error;
  }
}

test('what is wrong in providers.yaml is told with its line, and what would be right', async () => {
  const said = await problemsWith({
    'providers.yaml': [
      ['\naccounts: {}', '\naccounts:\n  main: { provider: openai, tier: 4 }\n  none: { provider: lab }'],
      ['\nmodels: {}', '\nmodels: { a/b: { fallback: [a/b] } }'],
    ],
  });
  expect(said.map((problem) => problem.replace(/:\d+:\d+/, ':line'))).toEqual([
    'providers.yaml:line: accounts.main.tier: there is no tier "4" of openai; there is 1, 2, 3, 5, free',
    'providers.yaml:line: accounts.none: has neither a tier nor limits; write limits: { … }',
    'providers.yaml:line: models.a/b.fallback: a/b cannot stand in for itself; leave it out',
  ]);
});

test('a rule by budget does not go with a budget that rolls over', async () => {
  const rule: [string, string] = ['rules: []', 'rules: [{ when: { budget_used_percent_from: 80 }, model: a/b }]'];
  expect(await problemsWith({ 'providers.yaml': [rule] })).toEqual([]);
  const rollover: [string, string] = ['rollover: { enabled: false', 'rollover: { enabled: true'];
  expect(await problemsWith({ 'providers.yaml': [rule], 'budgets.yaml': [rollover] })).toEqual([
    expect.stringMatching(
      /^providers\.yaml: routing\.rules\.0: budget_used_percent_from cannot be used together with the rollover of budgets\.yaml: .* what 80 % of it are is known to the counters alone; set rollover/,
    ),
  ]);
});

test('without providers.yaml nothing is limited by it', async () => {
  const folder = await tempDir();
  await cp(join(packageRoot, 'config', 'tenants.yaml'), join(folder, 'tenants.yaml'));
  expect(loadConfig(folder).providers).toMatchObject({ accounts: {}, models: {}, routing: { rules: [] } });
});
