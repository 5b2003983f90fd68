import { readEnvironment } from '../../runtime/config/environment.ts';
import { loadConfig } from '../../runtime/config/files.ts';
import { policyData } from '../../runtime/config/policy-data.ts';
import { compiled } from '../../runtime/package-root.ts';
import { unpackBundle } from '../policy/bundle.ts';
import { Policy } from '../policy/policy.ts';

export interface OpenPolicyOptions {
  /** A bundle, packed, and what it is called in messages. */
  bytes: Buffer;
  name: string;
  /** What policies see as `data.config`. */
  configDir: string;
  /** Of the environment: what a sidecar would allow and demand of a policy. */
  variables: Record<string, string | undefined>;
}

/** Opens a policy as a sidecar would. The caller closes it. Throws `BundleError`, `ConfigError`. */
export async function openPolicy({ bytes, configDir, name, variables }: OpenPolicyOptions): Promise<Policy> {
  const { POLICY_IMPURE_BUILTINS, POLICY_TIMEOUT_MS } = readEnvironment(variables);
  return Policy.open({
    bundle: await unpackBundle(bytes, name),
    config: policyData(loadConfig(configDir)),
    timeoutMs: POLICY_TIMEOUT_MS,
    threadFile: compiled('sidecar/policy/evaluation-thread.js'),
    requirements: { entrypoints: [], impureBuiltins: POLICY_IMPURE_BUILTINS },
  });
}
