import type { Registry } from 'prom-client';
import type { Clock } from '../../runtime/clock.ts';
import { ConfigError } from '../../runtime/config/config-error.ts';
import type { Environment } from '../../runtime/config/environment.ts';
import type { Config } from '../../runtime/config/files.ts';
import { policyData } from '../../runtime/config/policy-data.ts';
import type { Log } from '../../runtime/log.ts';
import { compiled } from '../../runtime/package-root.ts';
import type { Closers } from '../../runtime/shutdown.ts';
import { IMPURE } from './builtins/catalogue.ts';
import { BundleError } from './bundle-error.ts';
import { type BundleListener, BundleReport } from './bundle-report.ts';
import { FileSource } from './file-source.ts';
import { KeptBundle } from './kept-bundle.ts';
import { observePolicies, observeShadowBundle } from './metrics.ts';
import { Policies } from './policies.ts';
import { readPublicKeys } from './signature.ts';
import { noneSlow } from './slow-counts.ts';
import type { PolicyStatus } from './status.ts';
import { UrlSource } from './url-source.ts';

/** The whole of a download. */
const DOWNLOAD_TIMEOUT_MS = 30_000;

export interface OpenPoliciesOptions {
  environment: Environment;
  config: Config;
  clock: Clock;
  log: Log;
  closers: Closers;
  registry: Registry;
  listener?: BundleListener;
}

/**
 * The policies of POLICY_BUNDLE, kept up to date. Throws `BundleError` if a file cannot be used, and `ConfigError`.
 * Of a URL that cannot be used there is no policy until it can.
 */
export async function openPolicies(options: OpenPoliciesOptions): Promise<Policies> {
  const { POLICY_BUNDLE, POLICY_BUNDLE_TOKEN } = options.environment;
  const bundle: BundleAddress = { role: 'policy', address: POLICY_BUNDLE, token: POLICY_BUNDLE_TOKEN };
  const { memoCounts, policies, report, slowCounts, source } = await prepare(options, bundle);
  observePolicies(options.registry, { policies, report, memoCounts, slowCounts });
  await source.start();
  return policies;
}

/**
 * The policies of SHADOW_POLICY_BUNDLE, in the same way, but that nothing waits for them: as long as they cannot be used,
 * nothing is compared. Undefined where the variable is not set.
 */
export async function openShadowPolicies(options: OpenPoliciesOptions): Promise<Policies | undefined> {
  const { SHADOW_POLICY_BUNDLE: address, SHADOW_POLICY_BUNDLE_TOKEN: token } = options.environment;
  if (address === undefined) return undefined;
  const { policies, report, source } = await prepare(options, { role: 'shadow policy', address, token });
  observeShadowBundle(options.registry, report);
  source.start().catch((error: Error) => report.failed(new BundleError('missing', error.message)));
  return policies;
}

interface BundleAddress {
  role: PolicyStatus['role'];
  /** A path or a URL. */
  address: string;
  token: string | undefined;
}

async function prepare(options: OpenPoliciesOptions, bundle: BundleAddress) {
  const { clock, closers, config, environment, listener, log } = options;
  const { address, role } = bundle;
  const isUrl = /^https?:\/\//i.test(address);
  const name = isUrl ? withoutQuery(address) : address;
  const report = new BundleReport({ role, name, source: isUrl ? 'url' : 'file' }, { clock, log, listener });
  const memoCounts = { hits: 0, misses: 0 };
  const slowCounts = noneSlow();
  const policies = new Policies({
    config: policyData(config),
    timeoutMs: environment.POLICY_TIMEOUT_MS,
    threadFile: compiled('sidecar/policy/evaluation-thread.js'),
    requirements: {
      entrypoints: environment.POLICY_ENTRYPOINTS,
      impureBuiltins: known(environment.POLICY_IMPURE_BUILTINS),
    },
    keys: environment.POLICY_PUBLIC_KEY_FILE ? await readPublicKeys(environment.POLICY_PUBLIC_KEY_FILE) : [],
    memoCounts,
    slowCounts,
    report,
    log,
  });
  closers.add(role, () => policies.close());
  const source = isUrl
    ? urlSource(options, bundle, { name, policies, report })
    : new FileSource({ file: address, policies, report, clock, optional: role === 'shadow policy' });
  closers.add(`${role} bundle`, () => source.stop());
  return { policies, report, memoCounts, slowCounts, source };
}

function urlSource(
  { environment: { DATA_DIR, POLICY_POLL_MS }, log }: OpenPoliciesOptions,
  { address, token }: BundleAddress,
  parts: { name: string; policies: Policies; report: BundleReport },
): UrlSource {
  return new UrlSource({
    ...parts,
    url: address,
    token,
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
    intervalMs: POLICY_POLL_MS,
    kept: new KeptBundle(DATA_DIR, address),
    random: Math.random,
    log,
  });
}

function withoutQuery(url: string): string {
  const { host, pathname, protocol } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

function known(impureBuiltins: string[]): string[] {
  const wrong = impureBuiltins.filter((name) => !IMPURE.has(name));
  if (wrong.length === 0) return impureBuiltins;
  const problem = `${wrong.join(', ')} cannot be allowed; only ${[...IMPURE].join(', ')} can`;
  throw new ConfigError([`environment: POLICY_IMPURE_BUILTINS: ${problem}`]);
}
