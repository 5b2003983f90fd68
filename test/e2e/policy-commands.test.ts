import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS, bringOpa } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { policyCommand, startPolicyCommand } from '../helpers/policy-command.ts';
import { tempDir } from '../helpers/temp-dir.ts';

/** What an author types, in a folder of their own. */
const POLICY = 'mine/acme/budget/budget.rego';
const TEST = 'mine/acme/budget/budget_test.rego';
const ACME = '{"tenant_id": "acme"}';

let opa: string;
let cwd: string;
const policy = (...args: string[]) => policyCommand(args, { opa, cwd });

beforeAll(async () => {
  opa = await bringOpa();
}, BRING_TIMEOUT_MS);

beforeEach(async () => {
  cwd = await tempDir('author');
  const begun = await policy('new', 'acme/budget', '--folder', 'mine');
  expect(begun.stdout.split('\n')).toEqual([POLICY, TEST, 'mine/lib']);
});

async function change(file: string, edit: (text: string) => string): Promise<void> {
  const text = await readFile(join(cwd, file), 'utf8');
  const edited = edit(text);
  expect(edited).not.toBe(text);
  await writeFile(join(cwd, file), edited);
}

const lineOf = async (file: string, part: string) =>
  (await readFile(join(cwd, file), 'utf8')).split('\n').findIndex((line) => line.includes(part)) + 1;

describe('new', () => {
  test('begins a package that is strict, formatted, and tested on every line', async () => {
    const checked = await policy('check', 'mine');
    expect(checked.output).toContain('policies: strict, formatted, tested on every line');
    expect(checked.code).toBe(0);
  });

  test('leaves alone what is there', async () => {
    await change(POLICY, (text) => `${text}# mine\n`);
    const again = await policy('new', 'acme.budget', '--folder', 'mine');
    expect(again).toMatchObject({ code: 1, stdout: '' });
    expect(again.output).toContain('mine/acme/budget exists already');
    expect(await readFile(join(cwd, POLICY), 'utf8')).toMatch(/# mine\n$/);
  });

  const names = ['../escape', 'lib', 'acme/every', 'acme-budget', 'acme//budget', 'config/x', 'acme/x_test', ''];
  test.each(names.slice(0, fullLength ? names.length : 2))(
    'refuses the name %j, and says what would be right',
    async (name) => {
      const refused = await policy('new', name, '--folder', 'mine');
      expect(refused.code).toBe(1);
      expect(refused.output).toMatch(
        /^policy: ".*": .*(named like acme\/budget|another word|of tests)|no name of a package/,
      );
    },
  );
});

describe('check', () => {
  test.each([
    ['input', POLICY, 'typo := input.tenant', /undefined ref: input\.tenant$/m],
    ['configuration', POLICY, 'typo := data.config.tenant', /undefined ref: data\.config\.tenant$/m],
    ['outcome', POLICY, 'typo := input.outcome.grantd', /undefined ref: input\.outcome\.grantd$/m],
    ['plan', TEST, 'test_typo if policy.plan.limts', /undefined ref: data\.acme\.budget\.plan\.limts$/m],
    ['decision', TEST, 'test_typo if policy.decision.mesage', /undefined ref: data\.acme\.budget\.decision\.mesage$/m],
  ])('finds a typing error in the %s, by file and line', async (_, file, rule, problem) => {
    await change(file, (text) => `${text}\n${rule}\n`);
    const checked = await policy('check', 'mine');
    expect(checked.code).toBe(1);
    expect(checked.output).toMatch(problem);
    expect(checked.output).toMatch(new RegExp(`${file.replaceAll('.', '\\.')}:\\d+: rego_type_error`));
  });

  test('names the line of a typing error', async () => {
    await change(POLICY, (text) => text.replace('input.tenant_id', 'input.tenant'));
    const { output } = await policy('check', 'mine');
    expect(output).toContain(`${POLICY}:${await lineOf(POLICY, 'input.tenant}')}: rego_type_error`);
  });

  test('takes a field of their own, if the annotation says so', async () => {
    const annotation = '# METADATA\n# schemas: [{input: schema.input}, {input.colour: {type: string}}]';
    await change(POLICY, (text) => `${text}\n${annotation}\n_colour := input.colour\n`);
    await change(TEST, (text) => `${text}\ntest_colour if policy._colour == "red" with input.colour as "red"\n`);
    expect(await policy('check', 'mine')).toMatchObject({ code: 0 });
  });

  test('says what is not formatted, and fmt mends it', async () => {
    await change(POLICY, (text) => text.replace('allow := false', 'allow  :=  false'));
    const checked = await policy('check', 'mine');
    expect(checked.code).toBe(1);
    expect(checked.output).toContain('mine is not formatted; mend it with: npm run policy fmt mine');
    expect(await policy('fmt', 'mine')).toMatchObject({ code: 0, stdout: POLICY });
    expect(await policy('check', 'mine')).toMatchObject({ code: 0 });
  });

  test('says which entrypoint a metered package lacks', async () => {
    await change(POLICY, (text) => text.replaceAll('# entrypoint: true\n', ''));
    const checked = await policy('check', 'mine');
    expect(checked.code).toBe(1);
    expect(checked.output).toContain('mine does not compile');
  });
});

describe('test', () => {
  test('fails with file and line', async () => {
    await change(POLICY, (text) => text.replace('"capacity": 100', '"capacity": 99'));
    const tested = await policy('test', '--folder', 'mine');
    expect(tested.code).toBe(1);
    expect(tested.stdout).toMatch(/^mine\/acme\/budget\/budget_test\.rego:\d+:$/m);
    expect(tested.stdout).toContain('FAIL: 1/');
  });

  test('runs those that match, and fails if none does', async () => {
    expect(await policy('test', 'acme.budget', '--folder', 'mine')).toMatchObject({ code: 0, stdout: 'PASS: 3/3' });
    expect(await policy('test', 'of_no_such_name', '--folder', 'mine')).toMatchObject({ code: 1 });
  });

  test('names the lines that no test runs', async () => {
    const all = await policy('test', '--folder', 'mine', '--coverage');
    expect(all).toMatchObject({ code: 0, stdout: expect.stringContaining('every line is covered') });
    await change(POLICY, (text) => `${text}\n_forgotten if input.channel == "telegram"\n`);
    const tested = await policy('test', '--folder', 'mine', '--coverage');
    expect(tested.code).toBe(1);
    expect(tested.stdout).toContain(`${POLICY}:${await lineOf(POLICY, '_forgotten')}: no test runs it`);
  });

  test('watches: each save tests again, also after one that does not parse', async () => {
    const watching = await startPolicyCommand(['test', '--folder', 'mine', '--watch'], { opa, cwd });
    await watching.waitForLine(/Watching for changes/, 30_000);
    expect(watching.stdout.join('\n')).toContain('PASS:');
    await change(POLICY, (text) => text.replace('"capacity": 100', '"capacity":'));
    await watching.waitForLine(/budget\.rego:\d+: rego_parse_error/);
    await change(POLICY, (text) =>
      text.replace('"capacity":,', '"capacity": 99,').replace('"capacity":\n', '"capacity": 99,\n'),
    );
    await watching.waitForLine(/^FAIL: 1\//);
    await change(POLICY, (text) => text.replace('"capacity": 99', '"capacity": 100'));
    await eventually(() => expect(watching.stdout.filter((line) => /^(PASS|FAIL)/.test(line)).at(-1)).toMatch(/^PASS/));
    await watching.stop();
  });
});

describe('eval', () => {
  test('shows plan, take and decision, with the numbers filled in', async () => {
    const at = '2026-11-21T09:00:00Z';
    const { code, stdout } = await policy('eval', '-b', 'mine', '-i', ACME, '--times', '101', '--at', at);
    expect(code).toBe(0);
    expect(stdout).toMatch(/1 to 100 +allowed: ok/);
    expect(stdout).toMatch(/101 +denied: rate_limited +tenant:acme:requests/);
    expect(stdout).toMatch(/tenant:acme:requests +token_bucket +1 +100 +requests +100 after 3600 s/);
    expect(stdout).toMatch(
      /TAKE {2}refused[\s\S]*tenant:acme:requests +100 +100 +0 +2026-11-21T10:00:00.000Z +SHORT, room in 3600 s/,
    );
    expect(stdout).toMatch(
      /DECISION {2}denied: rate_limited, status 429\n {2}The hourly allowance of 100 requests is used up until 2026-11-21T10:00:00.000Z\./,
    );
  });

  test('lets time pass between two requests', async () => {
    const { stdout } = await policy('eval', '-b', 'mine', '-i', ACME, '--times', '101', '--every', '40');
    expect(stdout).toMatch(/1 to 101 +allowed: ok/);
  });

  test('gives JSON, of a bundle that was built, for inputs of a file', async () => {
    await writeFile(join(cwd, 'inputs.json'), `[${ACME}, {"tenant_id": "globex", "user_id": "bob"}]`);
    const built = await policy('build', 'mine', '-o', 'budget.tar.gz');
    expect(built).toMatchObject({ code: 0, stdout: 'budget.tar.gz' });
    const { code, stdout } = await policy(
      'eval',
      '-b',
      'budget.tar.gz',
      '-i',
      'inputs.json',
      '--json',
      '-p',
      'acme.budget',
    );
    const { package: pkg, requests, revision } = JSON.parse(stdout);
    expect({ code, pkg }).toEqual({ code: 0, pkg: 'acme/budget' });
    expect(revision).toMatch(/^[0-9a-f]{16}$/);
    expect(requests).toMatchObject([
      { input: { tenant_id: 'acme' }, outcome: { granted: true, limits: [{ used: 1 }] }, decision: { allow: true } },
      { plan: { limits: [{ id: 'tenant:globex:requests' }] }, outcome: { limits: [{ used: 1 }] } },
    ]);
  });

  test('fails where the policy fails, and says what is wrong with it', async () => {
    await change(POLICY, (text) => text.replace('"cost": 1', '"cost": -1'));
    const { code, output, stdout } = await policy('eval', '-b', 'mine', '-i', ACME);
    expect(code).toBe(1);
    expect(stdout).toContain('denied: policy_error');
    expect(output).toContain('limits.0.cost: must be a whole number');
  });

  test('keeps file and line of what does not compile', async () => {
    await change(POLICY, (text) => `${text}\nx := ]\n`);
    const { code, output } = await policy('eval', '-b', 'mine', '-i', ACME);
    expect(code).toBe(1);
    expect(output).toContain(`${POLICY}:${await lineOf(POLICY, 'x :=')}: rego_parse_error`);
  });

  test('asks which package, where there are several', async () => {
    await policy('new', 'acme/other', '--folder', 'mine');
    const { code, output } = await policy('eval', '-b', 'mine', '-i', ACME);
    expect(code).toBe(1);
    expect(output).toContain('several metered packages; choose with --package one of: acme/budget, acme/other');
    const { stdout } = await policy('eval', '-b', 'mine', '-i', ACME, '-p', 'acme/other');
    expect(stdout).toContain('acme/other  {"tenant_id":"acme"}');
  });

  const wrong: [string[], string][] = [
    [['-i', '{"tenant": "acme"}'], 'input.tenant_id is missing'],
    [['-i', '{"tenant_id": '], '--input: not valid JSON'],
    [['-i', 'nowhere.json'], 'nowhere.json: there is no such file'],
    [[], '--input is missing'],
    [['-i', ACME, '--package', 'acme/other'], 'mine has no metered package acme/other; it has acme/budget'],
    [['-i', ACME, '--config', 'nowhere'], 'nowhere: there is no such folder'],
    [['-i', ACME, '--at', 'noon'], 'a time such as 2026-'],
  ];
  test.each(wrong.slice(0, fullLength ? wrong.length : 4))(
    'with %j says what would be right',
    async (args, problem) => {
      const { code, output, stdout } = await policy('eval', '-b', 'mine', ...args);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(output).toContain(problem);
    },
  );
});

test('bench measures both documents, new and known, beside a policy that does nothing', async () => {
  const { code, stdout } = await policy('bench', '-b', 'mine', '-i', ACME, '--ms', '20', '--json');
  expect(code).toBe(0);
  const measured: { document: string; input: string; per_second: number; times_trivial: number }[] = JSON.parse(stdout);
  expect(measured.map(({ document, input }) => `${document} ${input}`)).toEqual([
    'trivial plan new',
    'acme/budget/plan new',
    'acme/budget/plan known',
    'acme/budget/decision new',
    'acme/budget/decision known',
  ]);
  expect(measured[0]?.times_trivial).toBe(1);
  for (const { per_second } of measured) expect(per_second).toBeGreaterThan(0);
});
