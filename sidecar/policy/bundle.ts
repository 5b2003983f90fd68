import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { z } from 'zod';

/** A bundle is never unpacked beyond this: a gigabyte of zeros gzips to a megabyte. */
const MAX_UNPACKED_BYTES = 256 * 1024 * 1024;

const manifestSchema = z.looseObject({ revision: z.string().default(''), roots: z.array(z.string()).default(['']) });

/** An OPA bundle, unpacked: https://www.openpolicyagent.org/docs/management-bundles#bundle-file-format */
export interface Bundle {
  wasm: Uint8Array<ArrayBuffer>;
  data: Record<string, unknown>;
  /** The manifest's revision, else a hash of the bytes: it names the policy in answers, events and logs. */
  revision: string;
}

/** The bundle is missing or broken. The message says what is wrong and what would be right. */
export class BundleError extends Error {
  override readonly name = 'BundleError';
}

export async function readBundle(file: string): Promise<Bundle> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : (error as Error).message;
    throw new BundleError(
      `${file}: ${why}; POLICY_BUNDLE must name a bundle made by \`npm run policy:build\` or \`opa build -t wasm\``,
    );
  }
  return unpackBundle(bytes, file);
}

export async function unpackBundle(bytes: Buffer, name: string): Promise<Bundle> {
  const files = await unpack(bytes, name);
  const wasm = files.get('policy.wasm');
  if (!wasm)
    throw new BundleError(`${name}: no policy.wasm in it; build it with \`opa build -t wasm -e <entrypoint>\``);
  const manifest = manifestSchema.safeParse(parseJson(files.get('.manifest'), `${name}: .manifest`));
  if (!manifest.success) throw new BundleError(`${name}: .manifest: ${z.prettifyError(manifest.error)}`);
  const data = z.record(z.string(), z.unknown()).safeParse(parseJson(files.get('data.json'), `${name}: data.json`));
  if (!data.success) throw new BundleError(`${name}: data.json must hold an object`);
  const revision = manifest.data.revision || createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  return { wasm: new Uint8Array(wasm), data: data.data, revision };
}

async function unpack(bytes: Buffer, name: string): Promise<Map<string, Buffer>> {
  const tar = await promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip)(bytes, {
    maxOutputLength: MAX_UNPACKED_BYTES,
  }).catch((error: Error) => {
    throw new BundleError(`${name}: not a whole gzip file (${error.message}); it should be a .tar.gz`);
  });
  const files = new Map<string, Buffer>();
  const reader = extract();
  reader.end(tar);
  try {
    for await (const entry of reader) {
      const chunks: Buffer[] = [];
      for await (const chunk of entry) chunks.push(chunk as Buffer);
      files.set(entry.header.name.replace(/^\.?\//, ''), Buffer.concat(chunks));
    }
  } catch (error) {
    throw new BundleError(`${name}: not a whole tar file (${(error as Error).message})`);
  }
  return files;
}

function parseJson(bytes: Buffer | undefined, what: string): unknown {
  try {
    return bytes ? JSON.parse(bytes.toString('utf8')) : {};
  } catch (error) {
    throw new BundleError(`${what}: not valid JSON (${(error as Error).message})`);
  }
}
