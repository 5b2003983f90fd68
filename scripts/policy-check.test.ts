import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { packageRoot } from '../runtime/package-root.ts';
import { unpackBundle } from '../sidecar/policy/bundle.ts';
import { BRING_TIMEOUT_MS, bringOpa } from '../test/helpers/bring.ts';
import { fullLength } from '../test/helpers/full-length.ts';
import { tempDir } from '../test/helpers/temp-dir.ts';

interface Place {
  opa: string;
  root: string;
}

const load = (name: string) => import(/* @vite-ignore */ new URL(name, import.meta.url).href);
const { checkPolicies } = (await load('policy-check.mjs')) as { checkPolicies(place: Place): Promise<string[]> };
const { buildPolicies, buildBundle } = (await load('policy-build.mjs')) as {
  buildPolicies(place: Place & { log: (line: string) => void }): Promise<void>;
  buildBundle(options: { opa: string; folder: string; output: string; capabilities: string }): Promise<boolean>;
};

let opa: string;
let root: string;
const at = (path: string) => join(root, path);
const RATE_LIMIT = 'policies/openclaw/rate_limit/rate_limit.rego';
const REQUESTS = 'policies/lib/requests/requests.rego';
const BUNDLE = 'policies/dist/bundle.tar.gz';
const CAPABILITIES = 'policies/capabilities.json';
const MENDED_BY_BUILD = /mend it with: npm run policy:build$/;

beforeAll(async () => {
  opa = await bringOpa();
}, BRING_TIMEOUT_MS);

/** Each test changes a copy of the project's own policies. */
beforeEach(async () => {
  root = await tempDir('policies');
  for (const folder of ['policies', 'test/policies', 'schemas/json']) {
    await cp(join(packageRoot, folder), at(folder), { recursive: true, filter: (path) => !path.endsWith('.ts') });
  }
});

async function change(path: string, edit: (text: string) => string): Promise<void> {
  const text = await readFile(at(path), 'utf8');
  const edited = edit(text);
  expect(edited).not.toBe(text);
  await writeFile(at(path), edited);
}

const add = (rego: string) => change(RATE_LIMIT, (text) => `${text}\n${rego}\n`);
const check = () => checkPolicies({ opa, root });
const build = () => buildPolicies({ opa, root, log: () => undefined });

test('what is committed is sound and current', async () => {
  expect(await check()).toEqual([]);
});

describe('says what is wrong, and what mends it', () => {
  test('a changed policy with its old bundle', async () => {
    await change(REQUESTS, (text) => text.replace('This tenant is not known.', 'Who is this?'));
    await change('policies/openclaw/rate_limit/rate_limit_test.rego', (text) =>
      text.replace('This tenant is not known.', 'Who is this?'),
    );
    const [problem, ...others] = await check();
    expect(problem).toMatch(/^policies\/dist\/bundle\.tar\.gz is not what opa makes of policies; /);
    expect(problem).toMatch(MENDED_BY_BUILD);
    expect(others).toEqual([]);
    if (!fullLength) return;
    await build();
    expect(await check()).toEqual([]);
  });

  test.each([BUNDLE, 'test/policies/plain.tar.gz'].slice(0, fullLength ? 2 : 1))(
    'a missing and a damaged %s',
    async (bundle) => {
      await rm(at(bundle));
      expect(await check()).toEqual([expect.stringContaining(`${bundle} is not what opa makes`)]);
      await writeFile(at(bundle), 'not a bundle');
      expect(await check()).toEqual([expect.stringContaining(`${bundle} is not what opa makes`)]);
    },
  );

  test.runIf(fullLength)('capabilities that were edited by hand', async () => {
    await change(CAPABILITIES, (text) => text.replace('"abs"', '"time.now_ns"'));
    const [problem] = await check();
    expect(problem).toMatch(/^policies\/capabilities\.json is not what opa and opa-wasm can do; /);
    expect(problem).toMatch(MENDED_BY_BUILD);
  });

  test.runIf(fullLength)('a file that is not formatted', async () => {
    await change('test/policies/plain/authz/plain/plain.rego', (text) =>
      text.replace('allow := false', 'allow  :=  false'),
    );
    expect(await check()).toContainEqual(
      expect.stringMatching(/^test\/policies\/plain is not formatted; .* npm run policy fmt test\/policies\/plain\n/),
    );
  });

  test.runIf(fullLength)('a name that is not used', async () => {
    await add('unused if {\n\tleft := 1\n\ttrue\n}');
    expect(await check()).toContainEqual(expect.stringContaining('assigned var left unused'));
  });

  test.each(['input.tenant', 'data.config.tenant', 'input.outcome.grantd'].slice(0, fullLength ? 3 : 1))(
    'a typing error: %s',
    async (typo) => {
      await add(`typo := ${typo}`);
      const lines = (await readFile(at(RATE_LIMIT), 'utf8')).split('\n');
      const line = lines.findIndex((text) => text.startsWith('typo := ')) + 1;
      expect(await check()).toContainEqual(
        expect.stringContaining(`${RATE_LIMIT}:${line}: rego_type_error: undefined ref: ${typo}`),
      );
    },
  );

  test.runIf(fullLength)('a test that fails', async () => {
    await change(REQUESTS, (text) => text.replace('"billed": true', '"billed": false'));
    expect(await check()).toContainEqual(expect.stringMatching(/test_a_request_draws_on_the_bucket.*: FAIL/));
  });

  test.runIf(fullLength)('a rule that no test runs', async () => {
    await add('forgotten if input.channel == "telegram"');
    expect(await check()).toContainEqual(
      expect.stringMatching(/^no test runs policies\/openclaw\/rate_limit\/rate_limit\.rego:\d+; write one beside it$/),
    );
  });

  const builtins = [
    ['is not the same each time', 'time.now_ns()'],
    ['WebAssembly has not', 'semver.compare(input.a, input.b)'],
    ['an operator must allow', 'rand.intn("a", 5)'],
  ];
  test.each(builtins.slice(0, fullLength ? builtins.length : 1))('a built-in that %s', async (_, call) => {
    await add(`called := ${call}`);
    const problems = await check();
    const name = call.replace(/\(.*/, '');
    expect(problems).toContainEqual(expect.stringContaining(`undefined function ${name}`));
    await expect(build()).rejects.toThrow(`undefined function ${name}`);
  });
});

describe('the bundle', () => {
  async function bundleOf(folder: string): Promise<Buffer> {
    const output = join(await tempDir('bundle'), 'bundle.tar.gz');
    const capabilities = join(packageRoot, CAPABILITIES);
    expect(await buildBundle({ opa, folder, output, capabilities })).toBe(true);
    expect(await buildBundle({ opa, folder, output, capabilities })).toBe(false);
    return readFile(output);
  }

  test('is the same bytes for the same sources, wherever they lie and whatever their tests', async () => {
    const before = await bundleOf(join(packageRoot, 'policies'));
    await mkdir(at('moved'));
    await cp(at('policies/openclaw'), at('moved/openclaw'), { recursive: true });
    await cp(at('policies/lib'), at('moved/lib'), { recursive: true });
    await writeFile(at('moved/openclaw/rate_limit/rate_limit_test.rego'), 'package openclaw.rate_limit_test\n');
    expect((await bundleOf(at('moved'))).equals(before)).toBe(true);
  });

  test('has a revision that changes with its sources, and no other', async () => {
    const revision = async () => (await unpackBundle(await bundleOf(at('policies')), 'bundle')).revision;
    const before = await revision();
    expect(before).toMatch(/^[0-9a-f]{16}$/);
    await add('# Another comment.');
    const after = await revision();
    expect(after).not.toBe(before);
    await change(RATE_LIMIT, (text) => text.replace('\n# Another comment.\n', ''));
    expect(await revision()).toBe(before);
  });
});
