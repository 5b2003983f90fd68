import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { BundleError } from './bundle-error.ts';

/**
 * A bundle is neither downloaded nor unpacked beyond this: a gigabyte of zeros gzips to a megabyte. A policy with its
 * data has 64 MiB of memory, so a larger one could not be loaded anyway.
 */
export const MAX_BUNDLE_BYTES = 64 * 1024 * 1024;

const gunzipUpTo = promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip);

/** The files of a .tar.gz by their names, without a leading `/` or `./`. Throws `BundleError`. */
export async function unpackArchive(bytes: Buffer, name: string): Promise<Map<string, Buffer>> {
  if (bytes.length > MAX_BUNDLE_BYTES) throw tooLarge(name);
  const tar = await gunzipUpTo(bytes, { maxOutputLength: MAX_BUNDLE_BYTES }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(name);
    throw new BundleError('archive', `${name}: not a whole gzip file (${error.message}); it should be a .tar.gz`);
  });
  const files = new Map<string, Buffer>();
  const reader = extract();
  reader.end(tar);
  try {
    for await (const entry of reader) {
      const chunks: Buffer[] = [];
      for await (const chunk of entry) chunks.push(chunk as Buffer);
      if (entry.header.type === 'file') files.set(entry.header.name.replace(/^\.?\/+/, ''), Buffer.concat(chunks));
    }
  } catch (error) {
    throw new BundleError('archive', `${name}: not a whole tar file (${(error as Error).message})`);
  }
  return files;
}

export const tooLarge = (name: string): BundleError =>
  new BundleError('too_large', `${name}: larger than ${MAX_BUNDLE_BYTES} bytes, packed or unpacked`);
