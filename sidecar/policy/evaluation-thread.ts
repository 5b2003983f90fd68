import { parentPort, workerData } from 'node:worker_threads';
import * as opaWasm from '@open-policy-agent/opa-wasm';
import { systemClock } from '../../runtime/clock.ts';
import { createBuiltins } from './builtins/builtins.ts';
import { likelyOutcome, withOutcome } from './likely-outcome.ts';
import {
  type Batch,
  DONE,
  type Job,
  type JobOutcome,
  type JobResult,
  LOADING,
  type Ready,
  type ThreadData,
} from './protocol.ts';
import { TimeLimit } from './time-limit.ts';

/**
 * The thread that evaluates policies. A batch of jobs comes in one message and is answered in one. Without a time limit of
 * its own WASM cannot be interrupted: whoever waits too long ends this thread as a whole.
 */
const port = parentPort;
if (!port) throw new Error('evaluation-thread runs as a worker thread only');

const { wasm, data, memoryPages, progress } = workerData as ThreadData;
const seen = new Int32Array(progress);
const builtins = createBuiltins(systemClock);
const limit = new TimeLimit();
const START_MS = 1_000;

/** Its types name what its module has in the default export alone. */
const { loadPolicySync } = (opaWasm as unknown as { default: typeof opaWasm }).default;

type LoadedPolicy = opaWasm.LoadedPolicy;
type Module = Parameters<typeof loadPolicySync>[0] & object;

/** TypeScript knows WebAssembly only together with a browser. */
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    compile(bytes: Uint8Array): Promise<Module>;
    Module: { exports(module: Module): { name: string }[] };
  };
};

let module: Module;
let policy = await start();

port.on('message', (batch: Batch) => port.postMessage(run(batch)));

async function start(): Promise<LoadedPolicy | undefined> {
  let ready: Ready;
  let loaded: LoadedPolicy | undefined;
  try {
    module = await compile();
    loaded = load();
    const needed = requiredBuiltins(loaded);
    await builtins.prepare(needed);
    // Node loads the clock at its first use; interrupted in that, it would be undefined.
    limit.completes(() => evaluateSome([], []), START_MS);
    ready = { entrypoints: Object.keys(loaded.entrypoints), builtins: needed };
  } catch (error) {
    ready = { error: message(error) };
  }
  port?.postMessage(ready);
  return loaded;
}

/** The library would only complain of a module without an ABI version, and go on. */
async function compile(): Promise<Module> {
  const compiled = await WebAssembly.compile(wasm);
  const exported = WebAssembly.Module.exports(compiled).map(({ name }) => name);
  if (exported.includes('opa_wasm_abi_version')) return compiled;
  throw new Error('it has no ABI version, so opa did not make it');
}

/** A new instance of the module that is compiled: 0.3 ms with small data, measured. */
function load(): LoadedPolicy {
  Atomics.store(seen, LOADING, 1);
  try {
    const loaded = loadPolicySync(module, { initial: 5, maximum: memoryPages }, builtins.functions);
    loaded.setData(encode(data));
    return loaded;
  } finally {
    Atomics.store(seen, LOADING, 0);
  }
}

function run({ jobs, slice }: Batch): JobOutcome[] {
  const outcomes: JobOutcome[] = [];
  // Of the job that is next.
  let tries = 0;
  while (outcomes.length < jobs.length) {
    try {
      // After a trap or an interruption the instance's memory cannot be trusted. Outside of the slice: data may be large.
      policy ??= load();
    } catch (error) {
      conclude(outcomes, { ok: false, message: message(error) });
      continue;
    }
    const next = outcomes.length;
    const some = tries > 0 ? jobs.slice(0, next + 1) : jobs;
    if (!slice) evaluateSome(jobs, outcomes);
    else if (limit.completes(() => evaluateSome(some, outcomes, slice.ms / 2), slice.ms)) tries = 0;
    else {
      policy = undefined;
      tries = outcomes.length === next ? tries + 1 : 1;
      if (tries < slice.tries || outcomes.length === jobs.length) continue;
      conclude(outcomes, 'interrupted');
      tries = 0;
    }
  }
  return outcomes;
}

/** Goes on until all are done, the instance is spoilt, or no job may begin any more. */
function evaluateSome(jobs: Job[], outcomes: JobOutcome[], beginMs = Number.POSITIVE_INFINITY): void {
  const start = systemClock.monotonic();
  for (const job of jobs.slice(outcomes.length)) {
    if (!policy || systemClock.monotonic() - start > beginMs) return;
    conclude(outcomes, evaluate(policy, job));
  }
}

function conclude(outcomes: JobOutcome[], outcome: JobOutcome): void {
  outcomes.push(outcome);
  Atomics.add(seen, DONE, 1);
}

/** One message less for what was never asked before: it costs about as much as the evaluation. */
function evaluate(instance: LoadedPolicy, job: Job): JobOutcome {
  const result = evaluateOne(instance, job);
  const outcome = job.decision && result.ok && isObject(result.value) ? likelyOutcome(result.value) : undefined;
  if (!outcome || !result.ok || job.input === undefined) return result;
  const text = JSON.stringify(outcome);
  const decided = evaluateOne(instance, { entrypoint: job.decision as string, input: withOutcome(job.input, text) });
  if (!decided.ok || decided.value === undefined) return result;
  return { ...result, decision: { outcome: text, value: decided.value } };
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

function evaluateOne(instance: LoadedPolicy, job: Job): JobResult {
  try {
    builtins.begin();
    // Text as bytes: the library takes null, false, 0 and "" for undefined if given as values.
    const [answer] = instance.evaluate(job.input === undefined ? undefined : encode(job.input), job.entrypoint) as {
      result: unknown;
    }[];
    return answer === undefined ? { ok: true } : { ok: true, value: answer.result };
  } catch (error) {
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
