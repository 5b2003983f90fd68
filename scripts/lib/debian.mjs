import { createHash } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { mustRun, run } from './run.mjs';

/** @typedef {import('./progress.mjs').Log} Log */

/** Libraries may need libraries; Debian's deepest chain below redis-server is two. */
const ROUNDS = 5;
const PATIENCE = ['-o', 'Acquire::Retries=2', '-o', 'Acquire::http::Timeout=30', '-o', 'Acquire::https::Timeout=30'];

/**
 * Downloads Debian packages and unpacks them into a folder, together with the shared libraries that their programs
 * need and this machine lacks. Needs no root: nothing is installed, no service is started, and where the machine's
 * package lists are missing or too old, fresh ones are kept in `scratch`.
 * @param {{ names: string[], programs: string[], into: string, scratch: string, log: Log }} options `programs` are
 *   paths below `into`
 * @returns {Promise<{ libraryPath: string }>} what LD_LIBRARY_PATH must be, relative to `into`
 */
export async function unpackDebianPackages({ names, programs, into, scratch, log }) {
  const apt = new Apt(scratch, log);
  await apt.unpack(names, into);
  const unpacked = new Set(names);
  for (let round = 0; round < ROUNDS; round++) {
    const folders = await libraryFolders(into);
    const missing = await missingLibraries(programs, into, folders);
    if (missing.length === 0) return { libraryPath: folders.join(':') };
    const candidates = await lacking(
      (await apt.libraryDependencies([...unpacked])).filter((name) => !unpacked.has(name)),
    );
    if (candidates.length === 0) throw new Error(`no Debian package found for ${missing.join(', ')}`);
    log(`unpacking shared libraries: ${candidates.join(' ')}`);
    await apt.unpack(candidates, into);
    for (const name of candidates) unpacked.add(name);
  }
  throw new Error(`shared libraries are still missing after ${ROUNDS} rounds`);
}

class Apt {
  /** @type {string[]} */
  #options = process.getuid?.() === 0 ? ['-o', 'APT::Sandbox::User=root'] : [];
  #ownLists = false;
  #scratch;
  #log;

  /**
   * @param {string} scratch
   * @param {Log} log
   */
  constructor(scratch, log) {
    this.#scratch = scratch;
    this.#log = log;
  }

  /**
   * @param {string[]} names
   * @param {string} into
   */
  async unpack(names, into) {
    const folder = join(this.#scratch, createHash('sha256').update(names.join(' ')).digest('hex').slice(0, 12));
    await mkdir(folder, { recursive: true });
    await mkdir(into, { recursive: true });
    const download = () => run('apt-get', [...this.#options, ...PATIENCE, 'download', ...names], { cwd: folder });
    let downloaded = await download();
    if (!downloaded.ok && !this.#ownLists) {
      await this.#fetchLists();
      downloaded = await download();
    }
    if (!downloaded.ok) throw new Error(downloaded.problem);
    for (const file of await readdir(folder)) {
      if (file.endsWith('.deb')) await mustRun('dpkg-deb', ['-x', join(folder, file), into]);
    }
  }

  async #fetchLists() {
    this.#log("the machine's package lists do not serve; fetching fresh ones (about 10 MB)");
    this.#ownLists = true;
    const lists = join(this.#scratch, 'lists');
    const cache = join(this.#scratch, 'cache');
    await mkdir(join(lists, 'partial'), { recursive: true });
    await mkdir(join(cache, 'archives', 'partial'), { recursive: true });
    this.#options.push('-o', `Dir::State::lists=${lists}`, '-o', `Dir::Cache=${cache}`, '-o', 'Debug::NoLocking=1');
    await mustRun('apt-get', [...this.#options, ...PATIENCE, 'update']);
  }

  /**
   * The library packages that these packages directly depend on, but for the C library, which every machine has.
   * @param {string[]} names
   */
  async libraryDependencies(names) {
    const { stdout } = await mustRun('apt-cache', [...this.#options, 'depends', '--important', ...names]);
    const found = stdout.matchAll(/^\s*\|?(?:Pre)?Depends: (lib[^\s<>]+)$/gm);
    return [...new Set([...found].map((match) => /** @type {string} */ (match[1])))].filter((name) => name !== 'libc6');
  }
}

/**
 * Those of the packages that are not installed on this machine.
 * @param {string[]} names
 */
async function lacking(names) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: these placeholders are dpkg-query's own
  const format = ['-W', '-f', '${Package} ${db:Status-Status}\n'];
  const { stdout } = await run('dpkg-query', [...format, ...names]);
  const installed = new Set([...stdout.matchAll(/^(\S+) installed$/gm)].map((match) => match[1]));
  return names.filter((name) => !installed.has(name));
}

/**
 * The folders below `root` that hold shared libraries, relative to it.
 * @param {string} root
 */
async function libraryFolders(root) {
  const files = await readdir(root, { recursive: true });
  return [...new Set(files.filter((file) => /\.so(\.|$)/.test(file)).map((file) => dirname(file)))];
}

/**
 * @param {string[]} programs
 * @param {string} root
 * @param {string[]} folders
 */
async function missingLibraries(programs, root, folders) {
  const env = { ...process.env, LD_LIBRARY_PATH: folders.map((folder) => join(root, folder)).join(':') };
  const missing = new Set();
  for (const program of programs) {
    const { stdout } = await mustRun('ldd', [join(root, program)], { env });
    for (const match of stdout.matchAll(/^\s*(\S+) => not found/gm)) missing.add(match[1]);
  }
  return [...missing];
}
