import { promisify } from 'node:util';
import { constants, gunzip, gzip } from 'node:zlib';
import { extract, pack } from 'tar-stream';

/** Byte 9 of a gzip file names the system that made it; 255 is "unknown". */
const GZIP_SYSTEM = 9;
const UNKNOWN_SYSTEM = 255;

/**
 * A .tar of these files in the order of their names, with nothing in it of who packed it, where or when.
 * @param {Map<string, Buffer>} files
 * @returns {Promise<Buffer>}
 */
export async function packTar(files) {
  const archive = pack();
  for (const name of [...files.keys()].sort()) {
    archive.entry({ name, mode: 0o644, mtime: new Date(0) }, /** @type {Buffer} */ (files.get(name)));
  }
  archive.finalize();
  /** @type {Buffer[]} */
  const chunks = [];
  for await (const chunk of archive) chunks.push(/** @type {Buffer} */ (chunk));
  return Buffer.concat(chunks);
}

/**
 * @param {Buffer} bytes
 * @returns {Promise<Buffer>}
 */
export async function compress(bytes) {
  const compressed = await promisify(gzip)(bytes, { level: constants.Z_BEST_COMPRESSION });
  compressed[GZIP_SYSTEM] = UNKNOWN_SYSTEM;
  return compressed;
}

/** @type {(bytes: Buffer) => Promise<Buffer>} */
export const decompress = promisify(gunzip);

/**
 * @param {Buffer} tar
 * @returns {Promise<Map<string, Buffer>>} by name, without a leading `/`
 */
export async function unpackTar(tar) {
  const files = new Map();
  const reader = extract();
  reader.end(tar);
  for await (const entry of reader) {
    /** @type {Buffer[]} */
    const chunks = [];
    for await (const chunk of entry) chunks.push(/** @type {Buffer} */ (chunk));
    files.set(entry.header.name.replace(/^\/+/, ''), Buffer.concat(chunks));
  }
  return files;
}
