import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureBuilt } from './build.mjs';
import { projectRoot } from './lib/root.mjs';
import { mustRun } from './lib/run.mjs';
import { compile } from './policy-bundle.mjs';

/**
 * @typedef {object} Builtin
 * @property {string} name
 * @property {string} [infix]
 * @property {boolean} [relation]
 * @property {boolean} [nondeterministic]
 * @property {boolean} [deprecated]
 * @property {{ type: string, args?: unknown[], result?: unknown }} decl
 */

/** `:=` and `=` belong to the language; the compiler leaves no call of them. */
const OPERATORS = new Set(['assign', 'eq']);
/** What the library @open-policy-agent/opa-wasm can run. */
const WASM_ABI_VERSIONS = [
  { version: 1, minor_version: 1 },
  { version: 1, minor_version: 2 },
];
/** Rego version 1 as it is; what the next version may become is left out. */
const FEATURES = new Set(['keywords_in_refs', 'rego_v1', 'template_strings']);

const require = createRequire(import.meta.url);
const { loadPolicySync } = require('@open-policy-agent/opa-wasm');

/**
 * What a policy may call: the pure built-ins that opa compiles to WebAssembly, those that the WebAssembly library
 * really implements (its own list names some that it does not), and those that the sidecar adds. Nothing else compiles, so nothing can fail for want of a
 * built-in once it runs, and every policy can be remembered by its input.
 * @param {string} opa
 * @returns {Promise<string>} the file that `opa build` and `opa check` take
 */
export async function makeCapabilities(opa) {
  const { stdout } = await mustRun(opa, ['capabilities', '--current']);
  /** @type {{ builtins: Builtin[], features: string[] }} */
  const { builtins, features } = JSON.parse(stdout);
  const pure = builtins.filter(({ decl, deprecated, nondeterministic }) => {
    return decl.result && !deprecated && !nondeterministic;
  });
  const imported = await importedBuiltins(opa, pure);
  const implemented = new Set([...libraryBuiltins(), ...(await sidecarBuiltins())]);
  const usable = pure.filter(({ name }) => !imported.has(name) || implemented.has(name));
  const content = {
    builtins: usable.map(({ name, infix, relation, decl }) => ({ name, infix, relation, decl: withoutProse(decl) })),
    features: features.filter((feature) => FEATURES.has(feature)),
    wasm_abi_versions: WASM_ABI_VERSIONS,
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/**
 * Asks the compiler: of a policy that calls all of them, the module imports those that it has no code for.
 * @param {string} opa
 * @param {Builtin[]} builtins
 */
async function importedBuiltins(opa, builtins) {
  const calls = builtins.filter(({ name }) => !OPERATORS.has(name)).map(call);
  const text = ['package probe', '# METADATA\n# entrypoint: true', ...calls].join('\n\n');
  const files = await compile(opa, [{ path: 'probe.rego', bytes: Buffer.from(text) }]);
  const policy = loadPolicySync(files.get('policy.wasm'));
  const { exports } = policy.wasmInstance;
  const address = exports.opa_json_dump(exports.builtins());
  const memory = Buffer.from(policy.mem.buffer);
  return new Set(Object.keys(JSON.parse(memory.toString('utf8', address, memory.indexOf(0, address)))));
}

/** @param {Builtin} builtin */
const call = ({ name, decl }) =>
  `called contains ${name}(${(decl.args ?? []).map((_, i) => `input[${i}]`).join(', ')})`;

function libraryBuiltins() {
  const entry = require.resolve('@open-policy-agent/opa-wasm');
  return Object.keys(require(join(dirname(entry), 'builtins', 'index.js')));
}

async function sidecarBuiltins() {
  await ensureBuilt();
  const catalogue = join(projectRoot, 'dist', 'sidecar', 'policy', 'builtins', 'catalogue.js');
  return /** @type {{ PURE: Set<string> }} */ (await import(pathToFileURL(catalogue).href)).PURE;
}

/**
 * Types without their descriptions.
 * @template Value
 * @param {Value} value
 * @returns {Value}
 */
const withoutProse = (value) =>
  JSON.parse(JSON.stringify(value, (key, inner) => (key === 'description' ? undefined : inner)));
