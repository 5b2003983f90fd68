import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join, sep } from 'node:path';

/**
 * @typedef {object} Source
 * @property {string} path relative to the folder, with `/`
 * @property {Buffer} bytes
 */

/**
 * What a bundle is made of: the Rego that is no test, and `data.json`; in the order of their paths.
 * @param {string} folder
 * @returns {Promise<Source[]>}
 */
export async function readSources(folder) {
  const all = (await readdir(folder, { recursive: true })).map((path) => path.split(sep).join('/'));
  const paths = all.filter(isSource).sort();
  if (!paths.some((path) => path.endsWith('.rego'))) throw new Error(`${folder} holds no policy, no .rego file`);
  return Promise.all(paths.map(async (path) => ({ path, bytes: await readFile(join(folder, path)) })));
}

/** @param {string} path */
const isSource = (path) => (path.endsWith('.rego') && !path.endsWith('_test.rego')) || basename(path) === 'data.json';

/**
 * The same for the same sources, and another for others: it names a policy in answers and usage events.
 * @param {Source[]} sources
 */
export function revisionOf(sources) {
  const hash = createHash('sha256');
  for (const { path, bytes } of sources) hash.update(`${path}\0${bytes.length}\0`).update(bytes);
  return hash.digest('hex').slice(0, 16);
}
