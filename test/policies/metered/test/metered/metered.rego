# METADATA
# title: A metered package that does as it is told
# description: |
#   The plan is what the input says, well formed or not, and the decision goes wrong in the way that the input asks for,
#   so that a test drives every plan and every failure with one policy.
package test.metered

# METADATA
# description: |
#   `input.plan` as it is; else what the input says of `limits`, `candidates`, `raw_counters` and `refuse`. With
#   `input.break_plan` undefined.
# scope: document
# entrypoint: true
plan := input.plan

plan := object.filter(input, {"limits", "candidates", "raw_counters", "refuse"}) if {
	not "plan" in object.keys(input)
	not input.break_plan
}

# METADATA
# description: |
#   `input.decision` as it is; else what the outcome says, refused all the same with `input.refuse_after`, with the
#   `force_model`, `footer`, `notify` and `warnings` of the input. `input.break_decision` makes it undefined, or, if it
#   is "shape", an object of another shape; "overrule", allowed whatever the outcome; "conflict", two values at once.
# scope: document
# entrypoint: true
decision := input.decision

decision := _decision(true, "ok", 200) if {
	_usual
	_granted
	not input.refuse_after
}

decision := _decision(false, "budget_exceeded", 429) if {
	_usual
	_granted
	input.refuse_after
}

decision := _decision(false, "rate_limited", 429) if {
	_usual
	not _granted
}

decision := {"allow": "yes"} if input.break_decision == "shape"

decision := _decision(true, "ok", 200) if input.break_decision == "overrule"

decision := value if {
	input.break_decision == "conflict"
	some value in [_decision(true, "ok", 200), _decision(false, "rate_limited", 429)]
}

_usual if {
	not "decision" in object.keys(input)
	not input.break_decision
}

_granted if input.outcome.granted == true

_decision(allow, reason, status) := {
	"allow": allow,
	"reason": reason,
	"status": status,
	"message": _message[reason],
	"warnings": array.concat(object.get(input, "warnings", []), _exact_numbers),
	"obligations": object.filter(input, {"force_model", "footer", "notify"}),
}

_message := {
	"ok": "",
	"budget_exceeded": "Refused after it was granted.",
	"rate_limited": concat(" ", [
		"{tokens_used} of {tokens_limit} used ({percent_used}%), {tokens_remaining} left of the {period} allowance,",
		"again at {reset_time}",
	]),
}

# Only a plan with `raw_counters` shows them to the decision.
_exact_numbers := [line |
	some limit in input.outcome.limits
	line := $"{limit.id}: {limit.used} of {limit.capacity} used, {limit.remaining} left"
	limit.capacity
]

# METADATA
# description: The `allow` of the decision.
# scope: document
# entrypoint: true
default allow := false

allow if decision.allow == true
