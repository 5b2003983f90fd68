import { join } from 'node:path';
import { loadPolicy } from '@open-policy-agent/opa-wasm';
import { packageRoot } from '../../runtime/package-root.ts';
import { readBundle } from '../../sidecar/policy/bundle.ts';

export interface WasmPolicy {
  entrypoints: string[];
  /** The document at an entrypoint; undefined where it has none. Throws what the policy throws, as an error. */
  evaluate(entrypoint: string, input: unknown): unknown;
}

/** A bundle of this project, run as the sidecar runs it, but in this thread. `data` is added to the bundle's own. */
export async function loadBundle(file: string, data: object = {}): Promise<WasmPolicy> {
  const bundle = await readBundle(join(packageRoot, file));
  const policy = await loadPolicy(bundle.wasm, { initial: 5, maximum: 1_024 });
  policy.setData({ ...bundle.data, ...data });
  return {
    entrypoints: Object.keys(policy.entrypoints).sort(),
    evaluate(entrypoint, input) {
      try {
        const [answer] = policy.evaluate(input, entrypoint) as { result: unknown }[];
        return answer?.result;
      } catch (thrown) {
        throw thrown instanceof Error ? thrown : new Error(String(thrown));
      }
    },
  };
}
