import type { Config } from '../../runtime/config/files.ts';
import { policyData } from '../../runtime/config/policy-data.ts';
import { compiled } from '../../runtime/package-root.ts';
import { readBundle } from '../policy/bundle.ts';
import { Policy } from '../policy/policy.ts';

/** The policy of a bundle file, on this configuration. The caller closes it. Throws `BundleError`. */
export async function openPolicy(file: string, { config, timeoutMs }: { config: Config; timeoutMs: number }) {
  const bundle = await readBundle(file);
  return Policy.open({
    bundle,
    config: policyData(config),
    timeoutMs,
    threadFile: compiled('sidecar/policy/evaluation-thread.js'),
  });
}
