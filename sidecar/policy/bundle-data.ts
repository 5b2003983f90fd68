import { BundleError } from './bundle-error.ts';

type Data = Record<string, unknown>;

/**
 * The `data` of a bundle: each `a/b/data.json` is at `data.a.b`, as in OPA, though `opa build` leaves only one.
 * Throws `BundleError`.
 */
export function bundleData(files: ReadonlyMap<string, Buffer>, name: string): Data {
  const names = [...files.keys()];
  const yaml = names.find((file) => /(^|\/)data\.ya?ml$/.test(file));
  if (yaml) {
    throw new BundleError('contents', `${name}: ${yaml} is not read; \`opa build\` makes one data.json of all data`);
  }
  const data: Data = {};
  const outerFirst = names.filter((file) => /(^|\/)data\.json$/.test(file)).sort((a, b) => depth(a) - depth(b));
  for (const file of outerFirst) mount(data, file, parse(files.get(file) as Buffer, file, name), name);
  return data;
}

const depth = (file: string) => file.split('/').length;

function parse(bytes: Buffer, file: string, name: string): Data {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new BundleError('contents', `${name}: ${file}: not valid JSON (${(error as Error).message})`);
  }
  if (!isObject(value)) throw new BundleError('contents', `${name}: ${file} must hold an object`);
  return value;
}

function mount(data: Data, file: string, value: Data, name: string): void {
  let at = data;
  for (const step of file.split('/').slice(0, -1)) {
    if (!Object.hasOwn(at, step)) define(at, step, {});
    const next = at[step];
    if (!isObject(next)) throw new BundleError('contents', `${name}: ${file} lies where another file has a value`);
    at = next;
  }
  for (const [key, member] of Object.entries(value)) {
    if (Object.hasOwn(at, key)) throw new BundleError('contents', `${name}: ${file}: ${key} is in another file too`);
    define(at, key, member);
  }
}

/** Unlike an assignment, makes `__proto__` a key like any other. */
const define = (at: Data, key: string, value: unknown) =>
  Object.defineProperty(at, key, { value, enumerable: true, writable: true, configurable: true });

const isObject = (value: unknown): value is Data =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
