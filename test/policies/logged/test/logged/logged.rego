# METADATA
# title: Decisions to be logged
# description: One plain document that shows its input, and one metered package.
package test.logged

# METADATA
# description: The input as it arrived.
# scope: document
# entrypoint: true
echo := input

# METADATA
# description: |
#   One bucket of 1,000 tokens for each tenant, of which `input.estimated_tokens` are taken; none for a tenant without.
# scope: document
# entrypoint: true
plan := {"limits": [{
	"id": sprintf("tenant:%s", [input.tenant_id]),
	"subject": {"type": "tenant", "id": input.tenant_id},
	"unit": "tokens",
	"kind": "token_bucket",
	"capacity": 1000,
	"cost": input.estimated_tokens,
	"refill": {"amount": 1000, "per_seconds": 86400, "mode": "interval"},
}]}

# METADATA
# description: As the outcome says. The message repeats a part of the input, as no policy should.
# scope: document
# entrypoint: true
decision := {
	"allow": input.outcome.granted,
	"reason": {true: "ok", false: "rate_limited"}[input.outcome.granted],
	"status": {true: 200, false: 429}[input.outcome.granted],
	"message": concat("", ["You asked: ", object.get(input, "prompt", "")]),
}

# METADATA
# description: The `allow` of the decision.
# scope: document
# entrypoint: true
default allow := false

allow if decision.allow == true
