import { buildBundle, changed } from '../../helpers/bundles.ts';

/**
 * A metered package with a counter of each kind: a bucket that is not refilled while a test runs and is what the tenant is
 * billed for, one that is refilled drop by drop, a user's month that is corrected by what was really used, and calls in
 * flight. How much each holds is in `data.json`, so that another revision is another capacity.
 */
const REGO = `package test.driven

rules := data.rules[_size]

default _size := "large"

_size := "small" if endswith(input.tenant_id, "-small")

# METADATA
# scope: document
# entrypoint: true
plan := {"limits": array.concat([_tokens, _rate], _estimated)}

_tokens := {
	"id": "tenant:tokens",
	"subject": {"type": "tenant", "id": input.tenant_id},
	"unit": "tokens",
	"kind": "token_bucket",
	"capacity": rules.tokens,
	"cost": input.weight,
	"billed": true,
	"refill": {"amount": 1, "per_seconds": 31536000, "mode": "interval"},
}

_rate := {
	"id": "tenant:rate",
	"subject": {"type": "tenant", "id": input.tenant_id},
	"unit": "requests",
	"kind": "token_bucket",
	"capacity": rules.rate,
	"cost": 1,
	"refill": {"amount": rules.rate, "per_seconds": 1, "mode": "continuous"},
}

_estimated := [limit | input.estimated_tokens; some limit in [_month, _flight]]

_month := {
	"id": "user:month",
	"subject": {"type": "user", "id": input.user_id},
	"unit": "tokens",
	"kind": "window",
	"capacity": rules.month,
	"cost": input.estimated_tokens,
	"settles": true,
	"window": {"period": "month"},
}

_flight := {
	"id": "tenant:flight",
	"subject": {"type": "tenant", "id": input.tenant_id},
	"unit": "concurrent",
	"kind": "concurrency",
	"capacity": rules.flight,
	"cost": 1,
}

# METADATA
# scope: document
# entrypoint: true
decision := {"allow": true, "reason": "ok", "status": 200, "message": ""} if input.outcome.granted == true

decision := {"allow": false, "reason": "rate_limited", "status": 429, "message": ""} if input.outcome.granted == false

# METADATA
# scope: document
# entrypoint: true
default allow := false

allow if decision.allow
`;

/** What the counters of a tenant hold at most. `rate` is refilled within a second. */
export interface Rules {
  tokens: number;
  rate: number;
  month: number;
  flight: number;
}

export type Size = 'small' | 'large';

/** Revisions of the policy: a small tenant is near its limits. */
export const REVISIONS: Record<string, Record<Size, Rules>> = {
  r1: {
    small: { tokens: 120, rate: 20, month: 300, flight: 8 },
    large: { tokens: 1e9, rate: 60, month: 1e9, flight: 40 },
  },
  r2: {
    small: { tokens: 160, rate: 12, month: 200, flight: 6 },
    large: { tokens: 1e9, rate: 50, month: 1e9, flight: 30 },
  },
  r3: {
    small: { tokens: 90, rate: 25, month: 400, flight: 10 },
    large: { tokens: 1e9, rate: 80, month: 1e9, flight: 50 },
  },
};

export const sizeOf = (tenant: string): Size => (tenant.endsWith('-small') ? 'small' : 'large');

export const DECISION_PATH = 'test/driven/decision';

/** Compiles the policy with a real opa, once, and gives the bundle of each revision. */
export async function compiledPolicy(): Promise<Map<string, Buffer>> {
  const compiled = await buildBundle({ 'driven.rego': REGO, 'data.json': '{"rules": {}}' }, []);
  const bundles = Object.entries(REVISIONS).map(async ([revision, rules]) => {
    const files = { 'data.json': JSON.stringify({ rules }), '.manifest': JSON.stringify({ revision }) };
    return [revision, await changed(compiled, files)] as const;
  });
  return new Map(await Promise.all(bundles));
}
