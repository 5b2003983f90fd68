# METADATA
# title: A metered package that takes its time
# description: |
#   Draws on `input.limits`. Its plan takes time with the square of `input.plan_n`, its decision with that of
#   `input.decision_n`.
package test.slow

import data.test.hostile

# METADATA
# description: The limits of the input, after a while.
# scope: document
# entrypoint: true
plan := {"limits": input.limits} if _waited("plan_n")

# METADATA
# description: What the outcome says, after a while.
# scope: document
# entrypoint: true
decision := {"allow": true, "reason": "ok", "status": 200, "message": ""} if {
	_waited("decision_n")
	input.outcome.granted
}

decision := {"allow": false, "reason": "rate_limited", "status": 429, "message": ""} if {
	_waited("decision_n")
	not input.outcome.granted
}

_waited(key) if hostile.loop with input as {"n": object.get(input, key, 1)}

# METADATA
# description: The `allow` of the decision.
# scope: document
# entrypoint: true
default allow := false

allow if decision.allow
