# METADATA
# title: Rate limit
# description: |
#   Each tenant has one bucket of tokens, as `config/tenants.yaml` says. A request takes as many as its model weighs, and
#   they are what the tenant is billed for.
package openclaw.rate_limit

import data.lib.decisions
import data.lib.limits
import data.lib.models

# METADATA
# title: Plan
# description: What a request draws on, or why it is refused before anything is taken.
# scope: document
# entrypoint: true
plan := {"refuse": _refusal}

plan := {"limits": [_bucket]} if not _refusal

_bucket := limits.token_bucket({
	"subject": {"type": "tenant", "id": input.tenant_id},
	"unit": "tokens",
	"capacity": _tenant.capacity,
	"refill": limits.refilled(_tenant.refill, _tenant.capacity),
	"cost": models.weight(object.get(input, "model", ""), data.config.models),
	"billed": true,
})

_tenant := object.union(_tenants.defaults, object.get(_tenants.tenants, input.tenant_id, {}))

_tenants := data.config.tenants

_refusal := decisions.refusal("unknown_tenant", 403, "The request names no tenant.") if not _named

_refusal := decisions.refusal("unknown_tenant", 403, "This tenant is not known.") if {
	_named
	_tenants.unknown_tenants == "deny"
	not _tenants.tenants[input.tenant_id]
}

# A longer name would not fit into the name of its limit.
_named if {
	is_string(input.tenant_id)
	input.tenant_id != ""
	count(input.tenant_id) <= 256
}

# METADATA
# title: Decision
# description: What the outcome of the take means for the request. Without an outcome it is a denial.
# scope: document
# entrypoint: true
decision := decisions.allowed if input.outcome.granted == true

decision := decisions.denied("rate_limited", 429, _too_little_left) if input.outcome.granted == false

decision := decisions.denied("policy_error", 500, _not_asked) if not _asked

_asked if is_boolean(input.outcome.granted)

_too_little_left := concat(" ", [
	"This request needs more than the {tokens_remaining} tokens left of the {period} allowance of {tokens_limit}.",
	"The whole allowance is there again at {reset_time}.",
])

_not_asked := "Only the sidecar can grant a request: it asks the counters first."

# METADATA
# title: Allow
# description: Whether the request may proceed.
# scope: document
# entrypoint: true
default allow := false

allow if decision.allow
