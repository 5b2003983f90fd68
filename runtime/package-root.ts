import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The folder of `package.json`: the same from the sources and from `dist`, so files are read where they are kept. */
export const packageRoot: string = findRoot(dirname(fileURLToPath(import.meta.url)));

/** Of this program, as in `package.json`. */
export const packageVersion: string = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')).version;

/** A compiled file, named as its source is from the root: what a thread runs, also when a test started it. */
export const compiled = (file: string): URL => pathToFileURL(join(packageRoot, 'dist', file));

function findRoot(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error('no package.json above the program: the installation is incomplete');
  return findRoot(parent);
}
