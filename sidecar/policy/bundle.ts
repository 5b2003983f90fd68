import { createHash, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { unpackArchive } from './archive.ts';
import { bundleData } from './bundle-data.ts';
import { BundleError } from './bundle-error.ts';
import { verifySignature } from './signature.ts';

const manifestSchema = z.looseObject({
  revision: z.string().default(''),
  roots: z.array(z.string()).default(['']),
  wasm: z.array(z.looseObject({ entrypoint: z.string() })).default([]),
  metadata: z.looseObject({ entrypoints: z.array(z.string()).optional().catch(undefined) }).default({}),
});

/** An OPA bundle, unpacked: https://www.openpolicyagent.org/docs/management-bundles#bundle-file-format */
export interface Bundle {
  wasm: Uint8Array<ArrayBuffer>;
  data: Record<string, unknown>;
  /** The manifest's revision, else a hash of the bytes: it names the policy in answers, events and logs. */
  revision: string;
  /** Entrypoints that the manifest says are in `policy.wasm`. */
  promised: string[];
}

export async function readBundle(file: string): Promise<Bundle> {
  return unpackBundle(await readBundleFile(file), file);
}

export async function readBundleFile(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : (error as Error).message;
    throw new BundleError(
      'missing',
      `${file}: ${why}; POLICY_BUNDLE must name a bundle made by \`npm run policy:build\` or \`opa build -t wasm\``,
    );
  }
}

/** With `keys`, the bundle must be signed with one of them. Throws `BundleError`. */
export async function unpackBundle(bytes: Buffer, name: string, keys: readonly KeyObject[] = []): Promise<Bundle> {
  const files = await unpackArchive(bytes, name);
  if (keys.length) await verifySignature(files, keys, name);
  const wasm = files.get('policy.wasm');
  if (!wasm) {
    const mend = 'build it with `opa build -t wasm -e <entrypoint>`';
    throw new BundleError('contents', `${name}: no policy.wasm in it; ${mend}`);
  }
  const manifest = readManifest(files.get('.manifest'), name);
  return {
    wasm: new Uint8Array(wasm),
    data: bundleData(files, name),
    revision: manifest.revision || digestOf(bytes).slice(0, 16),
    promised: [...manifest.wasm.map(({ entrypoint }) => entrypoint), ...(manifest.metadata.entrypoints ?? [])],
  };
}

/** Equal bytes are the same bundle. */
export const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

function readManifest(bytes: Buffer | undefined, name: string): z.infer<typeof manifestSchema> {
  let value: unknown;
  try {
    value = JSON.parse(bytes?.toString('utf8') ?? '{}');
  } catch (error) {
    throw new BundleError('contents', `${name}: .manifest: not valid JSON (${(error as Error).message})`);
  }
  const manifest = manifestSchema.safeParse(value);
  if (!manifest.success) {
    throw new BundleError('contents', `${name}: .manifest: ${z.prettifyError(manifest.error)}`);
  }
  return manifest.data;
}
