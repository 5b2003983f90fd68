import type { Policy } from '../policy/policy.ts';
import { type OpenPolicyOptions, openPolicy } from './open-policy.ts';

export interface WorkbenchOptions extends OpenPolicyOptions {
  /** The metered package to ask, `a/b` or `a.b`; needed where there are several and none of them is `openclaw/rate_limit`. */
  pkg?: string | undefined;
}

/** A policy to be tried, and the package of it that is asked. */
export interface Workbench {
  policy: Policy;
  pkg: string;
}

/** The caller closes its policy. Throws `BundleError`, `ConfigError`, and an error that names the packages there are. */
export async function openWorkbench({ pkg, ...options }: WorkbenchOptions): Promise<Workbench> {
  const policy = await openPolicy(options);
  try {
    return { policy, pkg: choose(policy, options.name, pkg) };
  } catch (error) {
    await policy.close();
    throw error;
  }
}

/** The one that is meant where nobody says another. */
const DEFAULT_PACKAGE = 'openclaw/rate_limit';

function choose({ metered }: Policy, name: string, wanted: string | undefined): string {
  const packages = [...metered].sort();
  const list = packages.join(', ');
  if (wanted !== undefined) {
    const path = wanted.replaceAll('.', '/');
    if (metered.has(path)) return path;
    throw new Error(`${name} has no metered package ${path}; it has ${list || 'none, no plan with a decision'}`);
  }
  if (metered.has(DEFAULT_PACKAGE)) return DEFAULT_PACKAGE;
  const [only, ...others] = packages;
  if (only === undefined) throw new Error(`${name} has no metered package, no plan with a decision, to ask`);
  if (others.length) throw new Error(`${name} has several metered packages; choose with --package one of: ${list}`);
  return only;
}
