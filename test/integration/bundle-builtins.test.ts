import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { compiled, packageRoot } from '../../runtime/package-root.ts';
import { IMPURE, PURE } from '../../sidecar/policy/builtins/catalogue.ts';
import { readBundle } from '../../sidecar/policy/bundle.ts';
import { Policy } from '../../sidecar/policy/policy.ts';
import { BRING_TIMEOUT_MS, bringOpa } from '../helpers/bring.ts';
import { tempDir } from '../helpers/temp-dir.ts';

/** Each is evaluated by a real OPA and by the sidecar's evaluator, compiled: both must give the same, or nothing. */
const EXPRESSIONS = [
  'base64url.encode_no_pad("a?>€")',
  'crypto.md5("")',
  'crypto.sha1("ü")',
  'crypto.sha256("lorem")',
  'crypto.hmac.md5("m", "k")',
  'crypto.hmac.sha1("m", "k")',
  'crypto.hmac.sha256("m", "k")',
  'crypto.hmac.sha512("m", "")',
  'crypto.hmac.equal("a", "a")',
  'crypto.hmac.equal("a", "ab")',
  'hex.encode("aé")',
  'hex.decode("61c3A9")',
  'hex.decode("6")',
  'hex.decode("zz")',
  'indexof_n("banana", "ana")',
  'indexof_n("€x€", "x")',
  'indexof_n("abc", "z")',
  'indexof_n("abc", "")',
  'net.cidr_is_valid("10.0.0.0/8")',
  'net.cidr_is_valid("10.0.0.0/33")',
  'net.cidr_is_valid("10.0.0.0")',
  'net.cidr_is_valid("2001:db8::/32")',
  'net.cidr_is_valid("10.0.0.0/08")',
  'net.cidr_is_valid("fe80::1%eth0/64")',
  'numbers.range_step(1, 7, 3)',
  'numbers.range_step(7, 1, 2)',
  'numbers.range_step(1, 1, 5)',
  'numbers.range_step(1, 7, 0)',
  'strings.any_prefix_match(["foo", "bar"], ["x", "ba"])',
  'strings.any_prefix_match("foo", {"fo"})',
  'strings.any_prefix_match([], ["a"])',
  'strings.any_suffix_match("foo", ["oo", "x"])',
  'strings.any_suffix_match({"foo"}, "bar")',
  'strings.count("cheese", "e")',
  'strings.count("aaa", "aa")',
  'strings.count("€€", "")',
  'time.parse_rfc3339_ns("2026-11-21T12:00:00Z")',
  'time.parse_rfc3339_ns("2026-11-21T12:00:00.123456789+01:30")',
  'time.parse_rfc3339_ns("1969-12-31T23:59:59.5Z")',
  'time.parse_rfc3339_ns("2026-02-30T12:00:00Z")',
  'time.parse_rfc3339_ns("2026-11-21T24:00:00Z")',
  'time.parse_rfc3339_ns("2026-11-21")',
  'time.parse_duration_ns("1h15m30.918s")',
  'time.parse_duration_ns("-1.5us")',
  'time.parse_duration_ns("1.s")',
  'time.parse_duration_ns("0")',
  'time.parse_duration_ns("5")',
  'time.parse_duration_ns("")',
  'time.date(1795262400123000000)',
  'time.date([1795262400123000000, "America/New_York"])',
  'time.date([1795262400123000000, "Mars/Olympus"])',
  'time.clock([1795305599000000000, "Asia/Kathmandu"])',
  'time.clock(0)',
  'time.clock(-1000)',
  'time.weekday(1795262400123000000)',
  'time.weekday([1795305599000000000, "Pacific/Auckland"])',
  'time.add_date(1769860800000000000, 0, 1, 0)',
  'time.add_date(1795262400123456000, -1, -11, 40)',
  'time.diff(1795262400000000000, 0)',
  'time.diff(1774828800000000000, 1769860800000000000)',
  'time.diff([1774828800000000000, "Asia/Tokyo"], 1769860800000000001)',
  'time.format(1795262400123456000)',
  'time.format(1795262400000000000)',
  'time.format([1795262400120000000, "Europe/Berlin"])',
  'units.parse("10K")',
  'units.parse("1.5Gi")',
  'units.parse("100m")',
  'units.parse("3M")',
  'units.parse("-2k")',
  'units.parse("12")',
  'units.parse("1 K")',
  'units.parse("")',
  'units.parse("Ki")',
  'units.parse_bytes("10KB")',
  'units.parse_bytes("1.5MiB")',
  'units.parse_bytes("7")',
  'units.parse_bytes("3gi")',
  'units.parse_bytes("1.0005kb")',
  'units.parse_bytes("8EiB")',
  'units.parse_bytes("5b")',
  'units.parse_bytes("")',
  'urlquery.encode("a b&c=é!\'()*~-_.")',
  'urlquery.decode("a+b%26%C3%A9")',
  'urlquery.decode("%zz")',
  'urlquery.encode_object({"b": ["2", "1"], "a": "x y"})',
  'urlquery.decode_object("a=1&b=2&a=3&c&=d")',
  'urlquery.decode_object("a=%zz")',
  'json.is_valid("{")',
  'yaml.unmarshal("a: [1, true]")',
  'yaml.is_valid("a: [")',
  'regex.split("-+", "a--b-c")',
  'sprintf("%s is %d, %5.2f", ["x", 7, 1.5])',
];

const run = promisify(execFile);
let opa: string;
let ours: Record<string, unknown>;
let theirs: Record<string, unknown>;

async function build(folder: string, rules: string[]): Promise<string> {
  await writeFile(join(folder, 'probe.rego'), ['package probe', ...rules, ''].join('\n\n'));
  const output = join(folder, 'bundle.tar.gz');
  await run(opa, ['build', '--target', 'wasm', '--entrypoint', 'probe/answers', '--output', output, 'probe.rego'], {
    cwd: folder,
  });
  return output;
}

const open = async (file: string, impureBuiltins: string[] = []) =>
  Policy.open({
    bundle: await readBundle(file),
    config: {},
    timeoutMs: 5_000,
    threadFile: compiled('sidecar/policy/evaluation-thread.js'),
    requirements: { entrypoints: [], impureBuiltins },
  });

beforeAll(async () => {
  opa = await bringOpa();
  const folder = await tempDir('builtins');
  const rules = EXPRESSIONS.map((expression) => `answers[${JSON.stringify(expression)}] := ${expression}`);
  const policy = await open(await build(folder, rules));
  const result = await policy.evaluate('probe/answers', '{}');
  await policy.close();
  expect(result).toMatchObject({ ok: true });
  ours = (result as { value: Record<string, unknown> }).value;
  const { stdout } = await run(opa, ['eval', '--format', 'json', '--data', 'probe.rego', 'data.probe.answers'], {
    cwd: folder,
  });
  theirs = JSON.parse(stdout).result[0].expressions[0].value;
}, BRING_TIMEOUT_MS);

describe('a built-in gives what it gives in OPA', () => {
  test.each(EXPRESSIONS)('%s', (expression) => {
    expect(ours[expression]).toEqual(theirs[expression]);
  });

  test('and each of them is tried', () => {
    const untried = [...PURE].filter((name) => !EXPRESSIONS.some((expression) => expression.startsWith(`${name}(`)));
    expect(untried).toEqual(['yaml.marshal']);
  });
});

test('an impure one is refused unless it is allowed, and then its answers are not remembered', async () => {
  const rules = [
    'now := time.now_ns()',
    'same if { time.now_ns() == time.now_ns(); uuid.rfc4122("a") == uuid.rfc4122("a") }',
  ];
  const file = await build(await tempDir('impure'), [
    'answers := {"now": now, "same": same, "n": rand.intn("a", 5)}',
    ...rules,
  ]);
  await expect(open(file)).rejects.toThrow(/it calls .*time\.now_ns.* POLICY_IMPURE_BUILTINS=/);
  const policy = await open(file, [...IMPURE]);
  const before = Date.now();
  const result = (await policy.evaluate('probe/answers', '{}')) as { value: { now: number; same: boolean; n: number } };
  await policy.close();
  expect(policy.remembered).toBeUndefined();
  expect(result.value.now / 1e6).toBeGreaterThan(before - 60_000);
  expect(result.value).toMatchObject({ same: true });
  expect([0, 1, 2, 3, 4]).toContain(result.value.n);
});

test('one that is not provided keeps the bundle out', async () => {
  const file = await build(await tempDir('missing'), [
    'answers := http.send({"method": "get", "url": "http://127.0.0.1:9"})',
  ]);
  await expect(open(file, [...IMPURE])).rejects.toThrow(/it calls http\.send, .*docs\/policy-builtins\.md/);
});

test('docs/policy-builtins.md has a row for each built-in of OPA that is not compiled into WebAssembly', async () => {
  const text = await readFile(join(packageRoot, 'docs/policy-builtins.md'), 'utf8');
  const { stdout } = await run(opa, ['capabilities', '--current'], { maxBuffer: 1e8 });
  const { builtins } = JSON.parse(stdout) as {
    builtins: { name: string; deprecated?: boolean; decl: { result?: unknown } }[];
  };
  const capabilities = JSON.parse(await readFile(join(packageRoot, 'policies/capabilities.json'), 'utf8'));
  const native = new Set(
    capabilities.builtins.map(({ name }: { name: string }) => name).filter((name: string) => !PURE.has(name)),
  );
  const [provided = '', missing = ''] = text.split('## Not available');
  const column = (part: string) => [...part.matchAll(/^\| (`[^|]+)\|/gm)].map(([, cell]) => cell).join();
  const rows = (part: string) => [...column(part).matchAll(/`([a-z0-9_.]+)`/g)].map(([, name]) => name ?? '');
  expect(new Set(rows(provided).filter((name) => PURE.has(name) || IMPURE.has(name)))).toEqual(
    new Set([...PURE, ...IMPURE]),
  );
  const absent = builtins
    .filter(({ decl, deprecated, name }) => decl.result && !deprecated && !native.has(name))
    .filter(({ name }) => !PURE.has(name) && !IMPURE.has(name));
  expect(new Set(rows(missing))).toEqual(new Set(absent.map(({ name }) => name)));
});
