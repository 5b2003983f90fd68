import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../runtime/config/files.ts';
import { policyData } from '../../runtime/config/policy-data.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { MAX_AMOUNT, MAX_REFILL } from '../../schemas/amounts.ts';
import type { TenantsConfig } from '../../schemas/config/tenants.ts';
import { type Decision, decisionSchema, type Limit, type Plan, planSchema } from '../../schemas/policy-io.ts';
import { loadBundle, type WasmPolicy } from './wasm.ts';

/** The committed bundle, compiled, on the configuration that is shipped: what the first request of a newcomer meets. */
const shipped = policyData(loadConfig(join(packageRoot, 'config')));

let policy: WasmPolicy;

const withTenants = (tenants: Partial<TenantsConfig>) =>
  loadBundle('policies/dist/bundle.tar.gz', { config: { ...shipped, tenants: { ...shipped.tenants, ...tenants } } });

beforeAll(async () => {
  policy = await withTenants({});
});

const plan = (input: unknown, on = policy): Plan => planSchema.parse(on.evaluate('openclaw/rate_limit/plan', input));

function limit(input: unknown, on = policy): Limit {
  const { limits, refuse } = plan(input, on);
  expect(refuse).toBeUndefined();
  expect(limits).toHaveLength(1);
  return limits[0] as Limit;
}

const decide = (outcome?: unknown): Decision =>
  decisionSchema.parse(policy.evaluate('openclaw/rate_limit/decision', { tenant_id: 'acme', outcome }));

const allow = (input: unknown): unknown => policy.evaluate('openclaw/rate_limit/allow', input);

test('the bundle has two metered packages with three entrypoints each, and no other', () => {
  const names = ['allow', 'decision', 'plan'];
  const packages = ['openclaw/rate_limit', 'openclaw/routing'];
  expect(policy.entrypoints).toEqual(packages.flatMap((pkg) => names.map((name) => `${pkg}/${name}`)));
});

describe('the plan', () => {
  test("is one token from acme's bucket of 10,000, refilled daily and billed", () => {
    expect(plan({ tenant_id: 'acme' })).toEqual({
      limits: [
        {
          id: 'tenant:acme:tokens',
          subject: { type: 'tenant', id: 'acme' },
          unit: 'tokens',
          kind: 'token_bucket',
          capacity: 10_000,
          cost: 1,
          settles: false,
          billed: true,
          refill: { amount: 10_000, per_seconds: 86_400, mode: 'interval' },
          on_exceed: 'deny',
          thresholds: [],
          scope: 'tenant',
        },
      ],
      candidates: [],
      raw_counters: false,
    });
  });

  test("is as large as a tenant's own capacity", () => {
    expect(limit({ tenant_id: 'globex' })).toMatchObject({ capacity: 50_000, refill: { amount: 50_000 } });
  });

  test('costs what the model weighs, whichever of its names it is given', () => {
    const models = Object.entries(shipped.models.models);
    expect(models.length).toBeGreaterThan(0);
    for (const [id, { aliases, weight }] of models) {
      for (const model of [id, ...aliases]) expect(limit({ tenant_id: 'acme', model }).cost, model).toBe(weight);
    }
    expect(limit({ tenant_id: 'acme', model: 'bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0' }).cost).toBe(105);
  });

  test('costs 1 for a model that is not on the rate card', () => {
    for (const model of ['lab/unheard-of', '', '__proto__', 'constructor', null, 7, ['bedrock/nova-lite'], {}]) {
      expect(limit({ tenant_id: 'acme', model }).cost, JSON.stringify(model)).toBe(1);
    }
  });

  test('is by the defaults for a tenant that is not listed, or a refusal, as the configuration says', async () => {
    expect(limit({ tenant_id: 'umbrella' })).toMatchObject({ id: 'tenant:umbrella:tokens', capacity: 10_000 });
    const closed = await withTenants({ unknown_tenants: 'deny' });
    expect(plan({ tenant_id: 'umbrella' }, closed)).toMatchObject({
      refuse: { reason: 'unknown_tenant', status: 403 },
      limits: [],
    });
    expect(limit({ tenant_id: 'acme' }, closed).capacity).toBe(10_000);
  });

  test.each([undefined, null, '', false, 0, 7, ['acme'], { id: 'acme' }, 'x'.repeat(257)])(
    'refuses the tenant %j',
    (tenant_id) => {
      expect(plan({ tenant_id })).toMatchObject({ refuse: { reason: 'unknown_tenant', status: 403 }, limits: [] });
    },
  );

  const HOSTILE = [
    '__proto__',
    'constructor',
    'a}b{p7}',
    'a:tokens',
    'x:y',
    'line\nbreak',
    '%00',
    '"',
    ' ',
    '\u{1f916}',
  ];

  test.each([...HOSTILE, '\u{1f916}'.repeat(256)])('takes the name %j as it is', async (tenant_id) => {
    expect(limit({ tenant_id })).toMatchObject({
      id: `tenant:${tenant_id}:tokens`,
      subject: { type: 'tenant', id: tenant_id },
      capacity: 10_000,
    });
    const closed = await withTenants({ unknown_tenants: 'deny' });
    expect(plan({ tenant_id }, closed).refuse?.reason).toBe('unknown_tenant');
  });

  test.each([
    [0, 1],
    [1, 1],
    [MAX_REFILL, MAX_REFILL],
    [MAX_REFILL + 1, MAX_REFILL],
    [MAX_AMOUNT, MAX_REFILL],
  ])('is valid for the capacity %i', async (capacity, amount) => {
    const on = await withTenants({ tenants: { acme: { capacity, refill: 'weekly' } } });
    expect(limit({ tenant_id: 'acme' }, on)).toMatchObject({
      capacity,
      refill: { amount, per_seconds: 604_800, mode: 'interval' },
    });
  });

  test('is undefined without configuration, which the sidecar answers with a denial', async () => {
    const bare = await loadBundle('policies/dist/bundle.tar.gz');
    expect(bare.evaluate('openclaw/rate_limit/plan', { tenant_id: 'acme' })).toBeUndefined();
  });
});

describe('the decision', () => {
  const outcome = (granted: unknown) => ({
    granted,
    candidate: null,
    limits: [{ id: 'tenant:acme:tokens', granted, over: !granted, crossed: [], on_exceed: 'deny' }],
  });

  test('allows what was granted', () => {
    expect(decide(outcome(true))).toEqual({
      allow: true,
      reason: 'ok',
      status: 200,
      message: '',
      warnings: [],
      obligations: {},
    });
    expect(allow({ tenant_id: 'acme', outcome: outcome(true) })).toBe(true);
  });

  test('denies what was refused, and leaves the numbers to be filled in', () => {
    const decision = decide(outcome(false));
    expect(decision).toMatchObject({ allow: false, reason: 'rate_limited', status: 429 });
    expect(decision.message).toMatch(/\{tokens_remaining\}.*\{period\}.*\{tokens_limit\}.*\{reset_time\}/);
    expect(allow({ tenant_id: 'acme', outcome: outcome(false) })).toBe(false);
  });

  test.each([undefined, null, {}, true, 'granted', [], outcome('true'), outcome(1), outcome(null)])(
    'denies on the outcome %j, which is none',
    (none) => {
      expect(decide(none)).toMatchObject({ allow: false, reason: 'policy_error', status: 500 });
      expect(allow({ tenant_id: 'acme', outcome: none })).toBe(false);
    },
  );

  test('denies whatever the input is', () => {
    for (const input of [undefined, null, false, 0, '', [], 'granted', { granted: true }]) {
      expect(allow(input), JSON.stringify(input)).toBe(false);
    }
  });
});
