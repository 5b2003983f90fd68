import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { readBundle, unpackBundle } from './bundle.ts';
import { BundleError } from './bundle-error.ts';

async function bundleOf(files: Record<string, string>): Promise<Buffer> {
  const tar = pack();
  for (const [name, text] of Object.entries(files)) tar.entry({ name }, text);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return gzipSync(Buffer.concat(chunks));
}

const refused = (bytes: Buffer) =>
  unpackBundle(bytes, 'b.tar.gz').then(
    () => 'accepted',
    (error) => (error instanceof BundleError ? error.message : String(error)),
  );

test('the shipped bundle has a policy and says its revision', async () => {
  const bundle = await readBundle(join(packageRoot, 'policies/dist/bundle.tar.gz'));
  expect(bundle.wasm.length).toBeGreaterThan(1_000);
  expect(bundle.revision).not.toBe('');
});

test('names with and without a leading slash are the same; without a revision the bytes name it', async () => {
  const bytes = await bundleOf({ '/policy.wasm': 'x', 'data.json': '{"a":1}' });
  const bundle = await unpackBundle(bytes, 'b.tar.gz');
  expect(bundle.data).toEqual({ a: 1 });
  expect(bundle.revision).toMatch(/^[0-9a-f]{16}$/);
});

test('broken bundles say what is broken', async () => {
  const whole = await readFile(join(packageRoot, 'policies/dist/bundle.tar.gz'));
  expect(await refused(whole.subarray(0, 500))).toMatch(/^b\.tar\.gz: not a whole gzip file/);
  expect(await refused(Buffer.from('text'))).toMatch(/not a whole gzip file/);
  expect(await refused(gzipSync(Buffer.from('text'.repeat(300))))).toMatch(/not a whole tar file/);
  expect(await refused(await bundleOf({ 'data.json': '{}' }))).toMatch(/no policy\.wasm/);
  expect(await refused(await bundleOf({ 'policy.wasm': 'x', 'data.json': '{' }))).toMatch(/data\.json: not valid JSON/);
  expect(await refused(await bundleOf({ 'policy.wasm': 'x', 'data.json': '[]' }))).toMatch(
    /data\.json must hold an object/,
  );
  expect(await refused(await bundleOf({ 'policy.wasm': 'x', '.manifest': '{"revision":1}' }))).toMatch(/\.manifest/);
});

test('a bundle that unpacks to a gigabyte is not unpacked', async () => {
  const bomb = gzipSync(Buffer.alloc(1024 * 1024 * 1024));
  expect(bomb.length).toBeLessThan(2 * 1024 * 1024);
  const before = process.memoryUsage().rss;
  expect(await refused(bomb)).toMatch(/larger than 67108864 bytes/);
  expect(process.memoryUsage().rss - before).toBeLessThan(300 * 1024 * 1024);
});

test('data of a folder is mounted where the folder is; what would be overlooked is refused', async () => {
  const wasm = { 'policy.wasm': 'x' };
  const files = { ...wasm, 'data.json': '{"a":{"b":1}}', 'a/c/data.json': '{"__proto__":{"d":2}}' };
  const { data } = await unpackBundle(await bundleOf(files), 'b.tar.gz');
  expect(JSON.stringify(data)).toBe('{"a":{"b":1,"c":{"__proto__":{"d":2}}}}');
  expect(await refused(await bundleOf({ ...wasm, 'data.json': '{"a":1}', 'a/data.json': '{}' }))).toMatch(
    /another file/,
  );
  expect(await refused(await bundleOf({ ...wasm, 'a/data.yaml': 'b: 1' }))).toMatch(/data\.yaml is not read/);
});
