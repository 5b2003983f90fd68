import { parentPort, workerData } from 'node:worker_threads';
import { type LoadedPolicy, loadPolicy } from '@open-policy-agent/opa-wasm';
import { systemClock } from '../../runtime/clock.ts';
import { createBuiltins } from './builtins/builtins.ts';
import type { Job, JobResult, Ready, ThreadData } from './protocol.ts';

/**
 * The thread that evaluates policies. WASM cannot be interrupted: whoever waits too long ends this thread as a whole.
 * A batch of jobs comes in one message and is answered in one.
 */
const port = parentPort;
if (!port) throw new Error('evaluation-thread runs as a worker thread only');

const { wasm, data, memoryPages, progress } = workerData as ThreadData;
const done = new Int32Array(progress);
const builtins = createBuiltins(systemClock);

type Module = Parameters<typeof loadPolicy>[0] & object;

/** TypeScript knows WebAssembly only together with a browser. */
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    compile(bytes: Uint8Array): Promise<Module>;
    Module: { exports(module: Module): { name: string }[] };
  };
};

let module: Module | undefined;
let policy = await start();

port.on('message', async (jobs: Job[]) => {
  const results: JobResult[] = [];
  for (const job of jobs) {
    results.push(await evaluate(job));
    Atomics.add(done, 0, 1);
  }
  port.postMessage(results);
});

async function start(): Promise<LoadedPolicy | undefined> {
  let ready: Ready;
  let loaded: LoadedPolicy | undefined;
  try {
    loaded = await load();
    ready = { entrypoints: Object.keys(loaded.entrypoints), builtins: requiredBuiltins(loaded) };
  } catch (error) {
    ready = { error: message(error) };
  }
  port?.postMessage(ready);
  return loaded;
}

/** Compiled once: a new instance after a trap takes a fraction of the time. */
async function load(): Promise<LoadedPolicy> {
  module ??= await compile();
  const loaded = await loadPolicy(module, { initial: 5, maximum: memoryPages }, builtins.functions);
  loaded.setData(encode(data));
  await builtins.prepare(requiredBuiltins(loaded));
  return loaded;
}

/** The library would only complain of a module without an ABI version, and go on. */
async function compile(): Promise<Module> {
  const compiled = await WebAssembly.compile(wasm);
  const exported = WebAssembly.Module.exports(compiled).map(({ name }) => name);
  if (exported.includes('opa_wasm_abi_version')) return compiled;
  throw new Error('it has no ABI version, so opa did not make it');
}

async function evaluate(job: Job): Promise<JobResult> {
  try {
    policy ??= await load();
    builtins.begin();
    // Text as bytes: the library takes null, false, 0 and "" for undefined if given as values.
    const [answer] = policy.evaluate(job.input === undefined ? undefined : encode(job.input), job.entrypoint) as {
      result: unknown;
    }[];
    return answer === undefined ? { ok: true } : { ok: true, value: answer.result };
  } catch (error) {
    // After a trap the instance's memory cannot be trusted: the next job gets a new one.
    policy = undefined;
    return { ok: false, message: message(error) };
  }
}

/** The names of the built-ins that the policy calls outside WASM: they tell whether it is pure. */
function requiredBuiltins(loaded: LoadedPolicy): string[] {
  const { mem, wasmInstance } = loaded as unknown as {
    mem: { buffer: ArrayBuffer };
    wasmInstance: { exports: { builtins(): number; opa_json_dump(address: number): number } };
  };
  const address = wasmInstance.exports.opa_json_dump(wasmInstance.exports.builtins());
  const bytes = new Uint8Array(mem.buffer);
  const text = new TextDecoder().decode(bytes.subarray(address, bytes.indexOf(0, address)));
  return Object.keys(JSON.parse(text) as Record<string, number>);
}

function encode(text: string): ArrayBuffer {
  const bytes = new TextEncoder().encode(text);
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}

/** The runtime throws strings, objects without a prototype of Error, and errors. */
function message(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown;
  const { message } = thrown as { message?: unknown };
  return typeof message === 'string' ? message : String(thrown);
}
