import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync, gzipSync } from 'node:zlib';
import { extract, pack } from 'tar-stream';
import { packageRoot } from '../../runtime/package-root.ts';
import { bringOpa } from './bring.ts';
import { tempDir } from './temp-dir.ts';

const run = promisify(execFile);

export type Files = Map<string, Buffer>;

export async function unpackFiles(bundle: Buffer): Promise<Files> {
  const files: Files = new Map();
  const reader = extract();
  reader.end(gunzipSync(bundle));
  for await (const entry of reader) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    files.set(entry.header.name, Buffer.concat(chunks));
  }
  return files;
}

async function packFiles(files: Files): Promise<Buffer> {
  const tar = pack();
  for (const [name, bytes] of files) tar.entry({ name }, bytes);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return gzipSync(Buffer.concat(chunks));
}

/** The bundle with some of its files replaced, or, with undefined, left out. */
export async function changed(bundle: Buffer, changes: Record<string, Buffer | string | undefined>): Promise<Buffer> {
  const files = await unpackFiles(bundle);
  for (const [name, content] of Object.entries(changes)) {
    for (const known of [name, `/${name}`]) files.delete(known);
    if (content !== undefined) files.set(name, Buffer.from(content));
  }
  return packFiles(files);
}

/** The bundle that is shipped, under another revision. */
export async function shippedBundle(revision: string): Promise<Buffer> {
  const bundle = await readFile(join(packageRoot, 'policies/dist/bundle.tar.gz'));
  return changed(bundle, { '.manifest': JSON.stringify({ revision, roots: ['lib', 'openclaw'] }) });
}

export async function wasmOf(bundle: Buffer): Promise<Buffer> {
  const files = await unpackFiles(bundle);
  const wasm = files.get('policy.wasm') ?? files.get('/policy.wasm');
  if (!wasm) throw new Error('there is no policy.wasm in the bundle');
  return wasm;
}

/** Rego compiled by a real opa. `args`: more of `opa build`'s own flags. */
export async function buildBundle(files: Record<string, string>, args: string[]): Promise<Buffer> {
  const dir = await tempDir('bundle');
  const sources = join(dir, 'sources');
  await mkdir(sources);
  for (const [name, text] of Object.entries(files)) await writeFile(join(sources, name), text);
  const output = join(dir, 'bundle.tar.gz');
  await run(await bringOpa(), ['build', '--target', 'wasm', '--output', output, ...args, '--bundle', '.'], {
    cwd: sources,
  });
  return readFile(output);
}

/** A module that is the same but for the ABI version that it says it has: the value of a global that it exports. */
export function withAbiVersion(wasm: Buffer, version: number): Buffer {
  const copy = Buffer.from(wasm);
  const name = Buffer.from('opa_wasm_abi_version');
  // In the export section: the name, the kind (3, a global), its number among all globals.
  const at = copy.indexOf(name) + name.length;
  if (copy[at] !== 3) throw new Error('the module exports no ABI version');
  const wanted = leb(copy, at + 1).value;
  const { end, start } = section(copy, 6);
  let { next: cursor, value: count } = leb(copy, start);
  for (let index = 0; index < count && cursor < end; index++) {
    // Type, mutability, `i32.const`, the value, `end`.
    const value = leb(copy, cursor + 3);
    if (index === wanted) {
      copy[cursor + 3] = version;
      return copy;
    }
    cursor = value.next + 1;
  }
  throw new Error(`the module has no global ${wanted} of its own`);
}

function section(wasm: Buffer, wanted: number): { start: number; end: number } {
  for (let at = 8; at < wasm.length; ) {
    const { next, value } = leb(wasm, at + 1);
    if (wasm[at] === wanted) return { start: next, end: next + value };
    at = next + value;
  }
  throw new Error(`the module has no section ${wanted}`);
}

function leb(bytes: Buffer, at: number): { value: number; next: number } {
  let value = 0;
  for (let shift = 0; ; shift += 7, at++) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return { value, next: at + 1 };
  }
}

export interface KeyFiles {
  private: string;
  public: string;
}

export async function newKeys(kind: 'rsa' | 'ec' = 'rsa'): Promise<KeyFiles> {
  const dir = await tempDir('keys');
  const pair =
    kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const files = { private: join(dir, 'private.pem'), public: join(dir, 'public.pem') };
  await writeFile(files.private, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await writeFile(files.public, pair.publicKey.export({ type: 'spki', format: 'pem' }));
  return files;
}

/** The bundle as a real `opa sign` signs it. */
export async function signed(bundle: Buffer, { private: key }: KeyFiles, algorithm = 'RS256'): Promise<Buffer> {
  const dir = await tempDir('signed');
  const file = join(dir, 'bundle.tar.gz');
  await writeFile(file, bundle);
  const args = ['sign', '--signing-key', key, '--signing-alg', algorithm, '--bundle', file];
  await run(await bringOpa(), args, { cwd: dir });
  return changed(bundle, { '.signatures.json': await readFile(join(dir, '.signatures.json')) });
}
