# METADATA
# title: PACKAGE
# description: A tenant may make 100 requests an hour.
# schemas:
#   - input: schema.input
#   - data.config: schema.config
package PACKAGE

import data.lib.decisions
import data.lib.limits

# METADATA
# title: Plan
# description: What a request draws on.
# scope: document
# entrypoint: true
plan := {"limits": [_of_tenant]}

_of_tenant := limits.token_bucket({
	"subject": {"type": "tenant", "id": input.tenant_id},
	"unit": "requests",
	"capacity": 100,
	"refill": limits.refilled("hourly", 100),
	"cost": 1,
})

# METADATA
# title: Decision
# description: What the outcome of the take means. Without an outcome it is a denial.
# scope: document
# entrypoint: true
decision := decisions.allowed if input.outcome.granted

decision := decisions.denied("rate_limited", 429, _used_up) if not input.outcome.granted

_used_up := "The {period} allowance of {tokens_limit} requests is used up until {reset_time}."

# METADATA
# title: Allow
# description: Whether the request may proceed.
# scope: document
# entrypoint: true
default allow := false

allow if decision.allow
