import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { compress } from '../policy-archive.mjs';
import { makeBundle } from '../policy-bundle.mjs';
import { absolute, shown, tools } from './place.mjs';

/**
 * A bundle, packed: the file that is named, or what opa makes of a folder now.
 * @param {string} path
 * @throws {Error} with file and line of what does not compile
 */
export async function bundleOf(path) {
  const file = absolute(path);
  const name = shown(file);
  const found = await stat(file).catch(() => undefined);
  if (!found) throw new Error(`${name}: there is nothing; name a bundle, or a folder of Rego`);
  if (!found.isDirectory()) return { name, bytes: await readFile(file) };
  const { capabilities, opa } = await tools();
  const tar = await makeBundle({ opa, folder: file, capabilities }).catch((error) => {
    throw new Error(inFolder(name, error.message));
  });
  return { name, bytes: await compress(tar) };
}

/** @type {import('./folder-checks.mjs').FolderCheck} */
export async function compiles({ capabilities, cwd, opa, sources }) {
  const made = makeBundle({ opa, folder: resolve(cwd, sources), capabilities });
  return made.then(
    () => [],
    (error) => [inFolder(sources, error.message)],
  );
}

/**
 * The compiler works on a copy, and names its files from there.
 * @param {string} folder
 * @param {string} message
 */
export function inFolder(folder, message) {
  const named = message.replace(/^\S+\.rego(?=:\d+)/gm, (file) => join(folder, file));
  return `${folder} does not compile: ${named}`;
}
