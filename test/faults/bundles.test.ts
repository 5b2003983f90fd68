import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { BRING_TIMEOUT_MS, bringOpa } from '../helpers/bring.ts';
import { changed, type KeyFiles, newKeys, shippedBundle, signed, wasmOf, withAbiVersion } from '../helpers/bundles.ts';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { type Nginx, startNginx } from '../helpers/nginx.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { ask, get, post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';

/** A sidecar process whose bundle comes from a real nginx, or from a file, and goes wrong in every way. */
let redis: RedisServer;
let keys: KeyFiles;
let others: KeyFiles;

const BUNDLE = 'bundle.tar.gz';
const TOKEN = 'bundle-server-token';

beforeAll(async () => {
  await bringOpa();
  redis = await startRedis();
  keys = await newKeys();
  others = await newKeys();
}, BRING_TIMEOUT_MS);

const sound = async (revision: string) => signed(await shippedBundle(revision), keys);

const plainBundle = () => readFile(join(packageRoot, 'test/policies/plain.tar.gz'));

let zeros: Buffer | undefined;

/** Takes seconds to make. */
async function gigabyteOfZeros(): Promise<Buffer> {
  zeros ??= gzipSync(Buffer.alloc(1024 ** 3));
  return zeros;
}

/** Each is signed where it can be, so that it is refused for what it is. */
const BROKEN: [reason: string, name: string, make: () => Promise<Buffer>][] = [
  ['archive', 'bad gzip', async () => Buffer.concat([Buffer.from([0x1f, 0x8b]), Buffer.alloc(500, 7)])],
  ['archive', 'half-written', async () => (await sound('half')).subarray(0, 4_000)],
  ['archive', 'empty', async () => Buffer.alloc(0)],
  [
    'contents',
    'no wasm',
    async () => signed(await changed(await shippedBundle('x'), { 'policy.wasm': undefined }), keys),
  ],
  ['module', 'wrong ABI', async () => signed(await withWasm((wasm) => withAbiVersion(wasm, 2)), keys)],
  ['module', 'cut wasm', async () => signed(await withWasm((wasm) => wasm.subarray(0, wasm.length / 2)), keys)],
  ['signature', 'wrong signature', async () => signed(await shippedBundle('x'), others)],
  ['signature', 'no signature', () => shippedBundle('x')],
  ['entrypoint', 'missing entrypoint', async () => signed(await plainBundle(), keys)],
  ['too_large', '1 GB of zeros', gigabyteOfZeros],
];

async function withWasm(change: (wasm: Buffer) => Buffer): Promise<Buffer> {
  const bundle = await shippedBundle('x');
  return changed(bundle, { 'policy.wasm': change(await wasmOf(bundle)) });
}

const start = async (bundle: string, more: Record<string, string> = {}): Promise<Service> =>
  startSidecar({ REDIS_URL: redis.url, DATA_DIR: await tempDir('data'), POLICY_BUNDLE: bundle, ...strict(), ...more });

const strict = () => ({
  POLICY_POLL_MS: '50',
  // A busy machine is not what is looked at.
  STORE_TIMEOUT_MS: '5000',
  POLICY_TIMEOUT_MS: '5000',
  POLICY_PUBLIC_KEY_FILE: keys.public,
  POLICY_ENTRYPOINTS: 'openclaw/rate_limit/plan,openclaw/rate_limit/allow',
});

const bundleStatus = async (sidecar: Service) => (await get(`${sidecar.url}/v1/status`)).body.result.bundles.policy;

async function metric(sidecar: Service, name: string): Promise<number> {
  const { body } = await get(`${sidecar.url}/metrics`);
  const line = body.split('\n').find((each: string) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}

const revisionOfAnswer = async (sidecar: Service) => {
  const { body, status } = await post(`${sidecar.url}/v1/data/openclaw/rate_limit/allow?provenance=true`, {
    input: { tenant_id: 'acme' },
  });
  expect([status, body.result]).toEqual([200, true]);
  const { bundles, revision } = body.provenance;
  return revision ?? Object.values<{ revision: string }>(bundles)[0]?.revision;
};

/** After failures in a row the next look is up to a minute away. */
const inForce = (sidecar: Service, revision: string) =>
  eventually(
    async () => {
      expect(await bundleStatus(sidecar)).toMatchObject({ active_revision: revision });
      expect((await bundleStatus(sidecar)).code).toBeUndefined();
    },
    { timeoutMs: 60_000 },
  );

/** The old policy goes on, and status and metric say why. */
async function goesOn(sidecar: Service, revision: string, reason: string): Promise<void> {
  await eventually(async () => expect(await bundleStatus(sidecar)).toMatchObject({ code: 'bundle_error', reason }));
  expect(await bundleStatus(sidecar)).toMatchObject({
    active_revision: revision,
    message: expect.stringMatching(/.{20}/),
  });
  expect(await metric(sidecar, `openclaw_bundle_failures_total{reason="${reason}"}`)).toBeGreaterThan(0);
  expect(await metric(sidecar, 'openclaw_bundle_failing')).toBe(1);
  expect(await revisionOfAnswer(sidecar)).toBe(revision);
  expect((await get(`${sidecar.url}/health?bundles`)).status).toBe(200);
}

describe('a bundle server', () => {
  let nginx: Nginx;

  async function serve(bytes: Buffer): Promise<string> {
    nginx = await startNginx({ token: TOKEN });
    await nginx.put(BUNDLE, bytes);
    return `${nginx.url}/${BUNDLE}`;
  }

  const startPolling = (url: string, more = {}) => start(url, { POLICY_BUNDLE_TOKEN: TOKEN, ...more });

  test('whatever broken bundle it gives, the policy in force goes on', { timeout: 300_000 }, async () => {
    const sidecar = await startPolling(await serve(await sound('r0')));
    for (const [index, [reason, name, make]] of BROKEN.entries()) {
      await nginx.put(BUNDLE, await make());
      await goesOn(sidecar, `r${index}`, reason).catch((error) => {
        throw new Error(name, { cause: error });
      });
      await nginx.put(BUNDLE, await sound(`r${index + 1}`));
      await inForce(sidecar, `r${index + 1}`);
    }
    expect(await metric(sidecar, 'openclaw_bundle_failing')).toBe(0);
    const told = sidecar.process.output.filter((line) => line.includes('the policy bundle cannot be used'));
    expect(told.length).toBe(BROKEN.length);
  });

  test('is asked with the ETag of what is in force, and never with that of what failed', {
    timeout: 60_000,
  }, async () => {
    const sidecar = await startPolling(await serve(await sound('r1')));
    await eventually(() => expect(nginx.requests.filter((line) => line.startsWith('304 ')).length).toBeGreaterThan(3));
    expect(nginx.requests[0]).toMatch(/^200 GET \/bundle\.tar\.gz -$/);
    expect(nginx.requests.filter((line) => line.startsWith('200 ')).length).toBe(1);
    const known = nginx.requests.at(-1)?.split(' ').at(-1);
    await nginx.put(BUNDLE, await shippedBundle('unsigned'));
    await goesOn(sidecar, 'r1', 'signature');
    const failed = () => nginx.requests.filter((line) => line.startsWith('200 '));
    await eventually(() => expect(failed().length).toBeGreaterThan(3));
    expect(
      failed()
        .slice(1)
        .map((line) => line.split(' ').at(-1)),
    ).toEqual(
      failed()
        .slice(1)
        .map(() => known),
    );
    await nginx.put(BUNDLE, await sound('r2'));
    await inForce(sidecar, 'r2');
  });

  test('that is away or refuses leaves the policy in force, and is asked ever more rarely', {
    timeout: 60_000,
  }, async () => {
    const sidecar = await startPolling(await serve(await sound('r1')));
    await nginx.remove(BUNDLE);
    await goesOn(sidecar, 'r1', 'http_status');
    expect(await bundleStatus(sidecar)).toMatchObject({ http_code: 404 });
    await nginx.stop();
    await goesOn(sidecar, 'r1', 'unreachable');
    const before = await metric(sidecar, 'openclaw_bundle_failures_total{reason="unreachable"}');
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    // Without backoff there would be 60.
    const more = (await metric(sidecar, 'openclaw_bundle_failures_total{reason="unreachable"}')) - before;
    expect(more).toBeLessThan(15);
  });

  test('that is away at the start is replaced by the last bundle it gave', { timeout: 60_000 }, async () => {
    const url = await serve(await sound('r1'));
    const data = await tempDir('data');
    const first = await startPolling(url, { DATA_DIR: data });
    await inForce(first, 'r1');
    await first.process.stop();
    expect(await readdir(join(data, 'policy'))).toHaveLength(1);
    await nginx.stop();
    const second = await startPolling(url, { DATA_DIR: data });
    expect(await bundleStatus(second)).toMatchObject({ active_revision: 'r1', kept: true, reason: 'unreachable' });
    expect(await metric(second, 'openclaw_bundle_kept')).toBe(1);
    expect(await revisionOfAnswer(second)).toBe('r1');
    await nginx.restart();
    await nginx.put(BUNDLE, await sound('r2'));
    await inForce(second, 'r2');
    expect((await bundleStatus(second)).kept).toBeUndefined();
    expect(await metric(second, 'openclaw_bundle_kept')).toBe(0);
  });

  test('the bundle kept from before is trusted no more than another', { timeout: 60_000 }, async () => {
    const url = await serve(await sound('r1'));
    const data = await tempDir('data');
    const first = await startPolling(url, { DATA_DIR: data });
    await first.process.stop();
    await nginx.stop();
    const [file = ''] = await readdir(join(data, 'policy'));
    await writeFile(join(data, 'policy', file), await shippedBundle('forged'));
    const second = await startPolling(url, { DATA_DIR: data });
    expect((await bundleStatus(second)).active_revision).toBeUndefined();
  });

  test.each(
    BROKEN.filter(([, name]) => ['half-written', 'wrong ABI', 'wrong signature', '1 GB of zeros'].includes(name)),
  )(
    'that gives nothing else at a cold start (%s: %s): not ready, and says why',
    { timeout: 60_000 },
    async (reason, _, make) => {
      const sidecar = await startPolling(await serve(await make()));
      const ready = await get(`${sidecar.url}/health?bundles`);
      expect(ready.status).toBe(500);
      expect(ready.body.error).toMatch(/not activated: http/);
      expect(await bundleStatus(sidecar)).toMatchObject({ code: 'bundle_error', reason });
      expect(await metric(sidecar, 'openclaw_policy_active')).toBe(0);
      expect((await ask(sidecar.url, { tenant_id: 'acme' })).status).toBe(503);
      await nginx.put(BUNDLE, await sound('r1'));
      await inForce(sidecar, 'r1');
      expect((await get(`${sidecar.url}/health?bundles`)).status).toBe(200);
      expect(await revisionOfAnswer(sidecar)).toBe('r1');
    },
  );

  test('that does not know the token', { timeout: 60_000 }, async () => {
    const sidecar = await startPolling(await serve(await sound('r1')), { POLICY_BUNDLE_TOKEN: 'another' });
    expect(await bundleStatus(sidecar)).toMatchObject({ reason: 'http_status', http_code: 401 });
    expect(sidecar.process.output.join('\n')).not.toMatch(/another/);
  });
});

describe('a bundle file', () => {
  let file: string;

  async function startOn(bytes: Buffer): Promise<Service> {
    file = join(await tempDir('policies'), BUNDLE);
    await writeFile(file, bytes);
    return start(file);
  }

  async function replace(bytes: Buffer): Promise<void> {
    await writeFile(`${file}.new`, bytes);
    await rename(`${file}.new`, file);
  }

  test('whatever broken bundle takes its place, the policy in force goes on', { timeout: 120_000 }, async () => {
    const sidecar = await startOn(await sound('r0'));
    for (const [index, [reason, name, make]] of BROKEN.entries()) {
      await replace(await make());
      await goesOn(sidecar, `r${index}`, reason).catch((error) => {
        throw new Error(name, { cause: error });
      });
      await replace(await sound(`r${index + 1}`));
      await inForce(sidecar, `r${index + 1}`);
    }
  });

  test('may be written over, slowly, or be gone for a moment, without an alarm', { timeout: 60_000 }, async () => {
    const sidecar = await startOn(await sound('r1'));
    const next = await sound('r2');
    await writeFile(file, '');
    for (let at = 0; at < next.length; at += Math.ceil(next.length / 10)) {
      await writeFile(file, next.subarray(at, at + Math.ceil(next.length / 10)), { flag: 'a' });
      expect(await revisionOfAnswer(sidecar)).toMatch(/^r[12]$/);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await inForce(sidecar, 'r2');
    await rm(file);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await writeFile(file, await sound('r3'));
    await inForce(sidecar, 'r3');
    expect(await metric(sidecar, 'openclaw_bundle_failures_total{reason="archive"}')).toBe(0);
    expect(await metric(sidecar, 'openclaw_bundle_failures_total{reason="missing"}')).toBe(0);
    await rm(file);
    await goesOn(sidecar, 'r3', 'missing');
  });

  const some = fullLength ? BROKEN : BROKEN.filter((_, index) => index % 6 === 0);
  test.each(some)('that is broken at a cold start (%s: %s) ends it, with a clear message', async (_, __, make) => {
    file = join(await tempDir('policies'), BUNDLE);
    await writeFile(file, await make());
    const said = await start(file).catch((error: Error) => error.message);
    expect(said).toMatch(/cannot start:\n? +\S+bundle\.tar\.gz: \S.{20}/);
    expect(said).not.toMatch(/^ +at /m);
  });
});
