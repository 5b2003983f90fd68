import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pinnedVersion } from './bring-opa.mjs';
import { run } from './lib/run.mjs';
import { complaint } from './policy/complaint.mjs';
import { decompress, packTar, unpackTar } from './policy-archive.mjs';
import { readSources, revisionOf } from './policy-sources.mjs';

/** @typedef {import('./policy-sources.mjs').Source} Source */

/**
 * The bundle of a folder as a .tar: the policy compiled to WebAssembly, its Rego, its data and a manifest. Equal sources
 * give equal bytes.
 * @param {{ opa: string, folder: string, capabilities: string }} options `capabilities`: path of the file
 * @returns {Promise<Buffer>}
 * @throws {Error} with the compiler's messages
 */
export async function makeBundle({ opa, folder, capabilities }) {
  const sources = await readSources(folder);
  const compiled = await compile(opa, sources, capabilities);
  const files = new Map(sources.filter(({ path }) => path.endsWith('.rego')).map(({ path, bytes }) => [path, bytes]));
  for (const name of ['policy.wasm', 'data.json']) files.set(name, mustHave(compiled, name));
  files.set('.manifest', await manifest(sources, compiled));
  return packTar(files);
}

/**
 * @param {string} file
 * @returns {Promise<Buffer | undefined>} the .tar in a bundle; undefined if there is no such file, or it is broken
 */
export function readBundle(file) {
  return readFile(file)
    .then(decompress)
    .catch(() => undefined);
}

/**
 * Compiles a copy without tests, from inside its folder, since the module holds the paths of its sources. Not with `-O`,
 * which takes `data.config`, unknown until run time, for undefined. Entrypoints are those that say so in their metadata.
 * @param {string} opa
 * @param {Source[]} sources
 * @param {string} [capabilities] path of the file; without it, whatever opa has
 * @returns {Promise<Map<string, Buffer>>} the files of opa's own bundle
 */
export async function compile(opa, sources, capabilities) {
  const scratch = await mkdtemp(join(tmpdir(), 'policy-'));
  try {
    const root = join(scratch, 'sources');
    for (const { path, bytes } of sources) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), bytes);
    }
    const output = join(scratch, 'bundle.tar.gz');
    const allowed = capabilities ? ['--capabilities', capabilities] : [];
    const args = ['build', '--target', 'wasm', '--prune-unused', ...allowed, '--output', output, '--bundle', '.'];
    const [problem] = complaint(await run(opa, args, { cwd: root, env: plainEnvironment() }));
    if (problem) throw new Error(problem);
    return await unpackTar(await decompress(await readFile(output)));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** These two let whatever wasm-opt is installed rewrite the module. */
function plainEnvironment() {
  const { EXPERIMENTAL_WASM_OPT, EXPERIMENTAL_WASM_OPT_ARGS, ...env } = process.env;
  return env;
}

/**
 * Ours has no `wasm` resolvers, so that an opa without a WebAssembly engine, as most are, can run the bundle's Rego.
 * @param {Source[]} sources
 * @param {Map<string, Buffer>} compiled
 */
async function manifest(sources, compiled) {
  const { rego_version, wasm } = parse(compiled, '.manifest');
  const entrypoints = wasm.map((/** @type {{ entrypoint: string }} */ { entrypoint }) => entrypoint);
  const metadata = { compiler: `opa ${await pinnedVersion()}`, entrypoints };
  const roots = rootsOf(sources, parse(compiled, 'data.json'));
  return Buffer.from(`${JSON.stringify({ revision: revisionOf(sources), roots, rego_version, metadata }, null, 2)}\n`);
}

/**
 * The part of `data` that the bundle owns. `data.config` is not in it: that is set at run time.
 * @param {Source[]} sources
 * @param {object} data
 */
function rootsOf(sources, data) {
  const packages = sources.filter(({ path }) => path.endsWith('.rego')).map(({ path }) => path.split('/')[0] ?? '');
  return [...new Set([...packages, ...Object.keys(data)])].sort();
}

/**
 * @param {Map<string, Buffer>} files
 * @param {string} name
 */
const parse = (files, name) => JSON.parse(mustHave(files, name).toString('utf8'));

/**
 * @param {Map<string, Buffer>} files
 * @param {string} name
 */
function mustHave(files, name) {
  const found = files.get(name);
  if (!found) throw new Error(`opa built a bundle without ${name}`);
  return found;
}
