import { IMPURE, PURE } from './builtins/catalogue.ts';
import { BundleError } from './bundle-error.ts';
import type { Contents } from './protocol.ts';

/** What the operator demands of a bundle, and allows it. */
export interface Requirements {
  /** Entrypoints that must be in it, as paths: `openclaw/rate_limit/plan`. */
  entrypoints: readonly string[];
  impureBuiltins: readonly string[];
}

/**
 * Finds out before a policy is put in force what its callers would find out one by one. `promised` are the entrypoints
 * of the manifest. Throws `BundleError`.
 */
export function checkRequirements(contents: Contents, promised: readonly string[], wanted: Requirements): void {
  const { builtins, entrypoints } = contents;
  if (entrypoints.length === 0) throw new BundleError('entrypoint', 'it has no entrypoint; name one to `opa build -e`');
  const lacking = promised.filter((entrypoint) => !entrypoints.includes(entrypoint));
  if (lacking.length) {
    throw new BundleError('entrypoint', `its manifest promises ${lacking.join(', ')}, which policy.wasm does not have`);
  }
  const demanded = wanted.entrypoints.filter((entrypoint) => !entrypoints.includes(entrypoint));
  if (demanded.length) {
    throw new BundleError('entrypoint', `it lacks ${demanded.join(', ')}, which POLICY_ENTRYPOINTS demands`);
  }
  const half = entrypoints.find((path) => path.endsWith('/plan') && !entrypoints.includes(sibling(path, 'decision')));
  if (half) {
    const missing = sibling(half, 'decision');
    throw new BundleError('entrypoint', `it has ${half} without ${missing}; a metered package has both`);
  }
  checkBuiltins(builtins, wanted.impureBuiltins);
}

const sibling = (path: string, name: string) => path.replace(/[^/]+$/, name);

function checkBuiltins(needed: readonly string[], allowed: readonly string[]): void {
  const unknown = needed.filter((name) => !PURE.has(name) && !IMPURE.has(name));
  if (unknown.length) {
    throw new BundleError(
      'builtin',
      `it calls ${unknown.join(', ')}, which compiled policies do not have here; see docs/policy-builtins.md`,
    );
  }
  const forbidden = needed.filter((name) => IMPURE.has(name) && !allowed.includes(name));
  if (forbidden.length) {
    throw new BundleError(
      'builtin',
      `it calls ${forbidden.join(', ')}, whose value differs from call to call, so that no answer can be remembered; ` +
        `POLICY_IMPURE_BUILTINS=${[...allowed, ...forbidden].join(',')} would allow it`,
    );
  }
}
