import type { Registry } from 'prom-client';
import type { Clock } from '../../runtime/clock.ts';
import { ConfigError } from '../../runtime/config/config-error.ts';
import type { Environment } from '../../runtime/config/environment.ts';
import type { Config } from '../../runtime/config/files.ts';
import type { Log } from '../../runtime/log.ts';
import { compiled } from '../../runtime/package-root.ts';
import type { Closers } from '../../runtime/shutdown.ts';
import { IMPURE } from './builtins/catalogue.ts';
import { BundleReport } from './bundle-report.ts';
import { FileSource } from './file-source.ts';
import { KeptBundle } from './kept-bundle.ts';
import { observePolicies } from './metrics.ts';
import { Policies } from './policies.ts';
import { readPublicKeys } from './signature.ts';
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
}

/**
 * The policies of POLICY_BUNDLE, kept up to date. Throws `BundleError` if a file cannot be used, and `ConfigError`.
 * Of a URL that cannot be used there is no policy until it can.
 */
export async function openPolicies(options: OpenPoliciesOptions): Promise<Policies> {
  const { clock, closers, config, environment, log, registry } = options;
  const { POLICY_BUNDLE, POLICY_ENTRYPOINTS, POLICY_IMPURE_BUILTINS, POLICY_TIMEOUT_MS } = environment;
  const isUrl = /^https?:\/\//i.test(POLICY_BUNDLE);
  const name = isUrl ? withoutQuery(POLICY_BUNDLE) : POLICY_BUNDLE;
  const report = new BundleReport({ name, source: isUrl ? 'url' : 'file' }, { clock, log });
  const memoCounts = { hits: 0, misses: 0 };
  const policies = new Policies({
    config,
    timeoutMs: POLICY_TIMEOUT_MS,
    threadFile: compiled('sidecar/policy/evaluation-thread.js'),
    requirements: { entrypoints: POLICY_ENTRYPOINTS, impureBuiltins: known(POLICY_IMPURE_BUILTINS) },
    keys: environment.POLICY_PUBLIC_KEY_FILE ? await readPublicKeys(environment.POLICY_PUBLIC_KEY_FILE) : [],
    memoCounts,
    report,
    log,
  });
  observePolicies(registry, { policies, report, memoCounts });
  closers.add('policy', () => policies.close());
  const source = isUrl
    ? urlSource(options, { name, policies, report })
    : new FileSource({ file: POLICY_BUNDLE, policies, report, clock });
  closers.add('policy bundle', () => source.stop());
  await source.start();
  return policies;
}

function urlSource(
  { environment: { DATA_DIR, POLICY_BUNDLE, POLICY_BUNDLE_TOKEN, POLICY_POLL_MS }, log }: OpenPoliciesOptions,
  parts: { name: string; policies: Policies; report: BundleReport },
): UrlSource {
  return new UrlSource({
    ...parts,
    url: POLICY_BUNDLE,
    token: POLICY_BUNDLE_TOKEN,
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
    intervalMs: POLICY_POLL_MS,
    kept: new KeptBundle(DATA_DIR, POLICY_BUNDLE),
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
