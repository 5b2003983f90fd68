import { buildBundle, changed } from './bundles.ts';

/**
 * A metered package `test/adjustable` whose rules come from its `data.json`, so that one compiled policy gives bundles that differ as much
 * as a test needs.
 */
const REGO = `package test.adjustable

# METADATA
# scope: document
# entrypoint: true
plan := {"refuse": {"reason": "unknown_model", "status": 404, "message": "not here"}} if input.model in data.rules.refused

plan := {"limits": _limits, "candidates": data.rules.candidates} if not input.model in data.rules.refused

_limits := array.concat(
	[{
		"id": "tenant:tokens",
		"subject": {"type": "tenant", "id": input.tenant_id},
		"unit": "tokens",
		"kind": "token_bucket",
		"capacity": data.rules.capacity,
		"cost": data.rules.cost,
		"billed": true,
		"refill": {"amount": 1, "per_seconds": 86400, "mode": "interval"},
	}],
	[{
		"id": "user:tokens",
		"subject": {"type": "user", "id": input.user_id},
		"unit": "tokens",
		"kind": "window",
		"capacity": capacity,
		"cost": data.rules.cost,
		"settles": true,
		"window": {"period": "month"},
	} | some capacity in data.rules.user_capacity],
)

# METADATA
# scope: document
# entrypoint: true
decision := {"allow": true, "reason": "ok", "status": 200, "message": ""} if input.outcome.granted == true

decision := {"allow": false, "reason": data.rules.reason, "status": 429, "message": ""} if input.outcome.granted == false

decision := {"allow": true, "reason": "over_soft_limit", "status": 200, "message": ""} if data.rules.conflicts

# METADATA
# scope: document
# entrypoint: true
default allow := false

allow if decision.allow
`;

export interface Rules {
  capacity?: number;
  cost?: number;
  /** At most one: the user's month. */
  user_capacity?: number[];
  candidates?: object[];
  /** Models that the plan refuses. */
  refused?: string[];
  /** Of a denial. */
  reason?: string;
  /** Whether the decision of a grant is two at once, which is an error. */
  conflicts?: boolean;
}

const USUAL: Required<Rules> = {
  capacity: 20,
  cost: 1,
  user_capacity: [],
  candidates: [],
  refused: [],
  reason: 'rate_limited',
  conflicts: false,
};

/** Compiles it with a real opa, once, and gives bundles of it. */
export async function adjustablePolicy(): Promise<(revision: string, rules?: Rules) => Promise<Buffer>> {
  const compiled = await buildBundle({ 'adjustable.rego': REGO, 'data.json': '{"rules": {}}' }, []);
  return (revision, rules = {}) =>
    changed(compiled, {
      'data.json': JSON.stringify({ rules: { ...USUAL, ...rules } }),
      '.manifest': JSON.stringify({ revision }),
    });
}
