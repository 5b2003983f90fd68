/**
 * Every folder of Rego sources and the bundle that is made of it, relative to the project's folder. A folder is the
 * root of its packages: `openclaw.rate_limit` lies in `policies/openclaw/rate_limit/`.
 */
export const BUNDLES = [
  { sources: 'policies', bundle: 'policies/dist/bundle.tar.gz' },
  { sources: 'test/policies/plain', bundle: 'test/policies/plain.tar.gz' },
  { sources: 'test/policies/metered', bundle: 'test/policies/metered.tar.gz' },
  { sources: 'test/policies/opa-cases', bundle: 'test/policies/opa-cases.tar.gz' },
  { sources: 'test/policies/logged', bundle: 'test/policies/logged.tar.gz' },
  { sources: 'test/policies/hostile', bundle: 'test/policies/hostile.tar.gz' },
];

/** What a policy may call: see policy-capabilities.mjs. */
export const CAPABILITIES = 'policies/capabilities.json';

/** What `opa check` knows of input, configuration, plan and decision: see json-schemas.mjs. */
export const SCHEMAS = 'schemas/json';
