import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { unpackDebianPackages } from './debian.mjs';

/** @typedef {import('./progress.mjs').Log} Log */

/**
 * Debian or Ubuntu packages, unpacked into a folder that appears when it is whole. Each program can be started there as
 * `bin/<name>`.
 * @param {{ names: string[], programs: string[], folder: string, log: Log }} options `programs`: paths in the packages
 */
export async function unpackPrograms({ names, programs, folder, log }) {
  const building = `${folder}.building-${process.pid}`;
  const scratch = `${folder}.scratch-${process.pid}`;
  try {
    const { libraryPath } = await unpackDebianPackages({ names, programs, into: building, scratch, log });
    await writeStarters(building, libraryPath, programs);
    await rm(folder, { recursive: true, force: true });
    await rename(building, folder);
  } finally {
    await rm(building, { recursive: true, force: true });
    await rm(scratch, { recursive: true, force: true });
  }
}

/**
 * Small scripts that become the program: same process id, libraries found wherever the folder is moved to.
 * @param {string} root
 * @param {string} libraryPath
 * @param {string[]} programs
 */
async function writeStarters(root, libraryPath, programs) {
  await mkdir(join(root, 'bin'), { recursive: true });
  const libraries = libraryPath.split(':').filter(Boolean);
  for (const program of programs) {
    const lines = ['#!/bin/sh', 'root=$(dirname "$(dirname "$(readlink -f "$0")")")'];
    const paths = libraries.map((folder) => `$root/${folder}`).join(':');
    if (libraries.length) lines.push(`export LD_LIBRARY_PATH="${paths}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"`);
    const starter = join(root, 'bin', basename(program));
    await writeFile(starter, `${[...lines, `exec "$root/${program}" "$@"`].join('\n')}\n`);
    await chmod(starter, 0o755);
  }
}

/** A cache that is carried to another system or processor is not used there. */
export async function machineName() {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const field = (/** @type {string} */ name) => new RegExp(`^${name}="?([^"\\n]+)`, 'm').exec(release)?.[1];
  return [field('ID') ?? process.platform, field('VERSION_ID'), process.arch].filter(Boolean).join('-');
}
