# METADATA
# title: Answers
# description: |
#   What the outcome of a take means, whichever package is asked: the denials, and what is other than usual
#   with what is allowed.
# schemas:
#   - input: schema.input
#   - data.config: schema.config
package lib.answers

import data.lib.decisions
import data.lib.passed_over
import data.lib.requests

# METADATA
# title: Denied
# description: The decision on everything but a grant. Without an outcome it is a denial too.
# scope: document
denied := decisions.denied("policy_error", 500, _not_asked) if not _asked

denied := object.union(
	decisions.denied("budget_exceeded", requests.exceeded.hard_stop.status_code, requests.exceeded.hard_stop.message),
	{"about": _stopped},
) if {
	input.outcome.granted == false
	count(_stopped) > 0
}

denied := object.union(decisions.denied("rate_limited", 429, _too_many_requests), {"about": _too_many}) if {
	input.outcome.granted == false
	count(_stopped) == 0
	count(_too_many) > 0
}

denied := object.union(decisions.denied("rate_limited", 429, _too_little_left), {"about": not_budgeted}) if {
	input.outcome.granted == false
	count(_stopped) == 0
	count(_too_many) == 0
	not _provider_alone
}

denied := object.union(decisions.denied("provider_unavailable", _status, _unavailable), _about_provider) if {
	input.outcome.granted == false
	count(_stopped) == 0
	count(_too_many) == 0
	_provider_alone
}

_asked if is_boolean(input.outcome.granted)

# Nothing of the tenant's own is short that refuses, and something of the provider's is.
_provider_alone if {
	count([id | some id in not_budgeted; id in _refused]) == 0
	count(passed_over.kinds & {"cooldown", "circuit", "limit", "failed", "attempts"}) > 0
}

default _status := 503

_status := 429 if {
	_waiting_helps
	count(passed_over.kinds & {"cooldown", "limit"}) > 0
}

_waiting_helps if {
	not "attempts" in passed_over.kinds
	count(passed_over.kinds & {"cooldown", "circuit", "limit"}) > 0
}

_unavailable := concat("", [passed_over.words, ". Try again in {available_in}, at {available_at}."]) if _waiting_helps

_unavailable := concat("", [passed_over.words, "."]) if not _waiting_helps

default _about_provider := {}

_about_provider := {"about": short} if {
	short := [id | some id in _refused; _is_shared(id)]
	count(short) > 0
}

# METADATA
# title: Beyond a limit
# description: What is different where something was exceeded that only tells.
# scope: document
default beyond := {}

beyond := {"reason": "over_soft_limit", "message": requests.exceeded.soft_limit.message} if {
	not over_reduces
	count(over) > 0
}

# The cheaper model was asked for to begin with, or stands in for another reason.
beyond := {"reason": "over_soft_limit", "message": requests.exceeded.reduced_priority.message} if over_reduces

# METADATA
# title: To the cheaper model
# description: What is different where a budget, or the bucket, was too short for the model asked for.
# scope: document
to_cheaper := {
	"reason": "routed_cheaper",
	"message": requests.exceeded.reduced_priority.message,
	"obligations": {"force_model": requests.cheaper},
} if {
	_by_budget
}

to_cheaper := {
	"reason": "routed_cheaper",
	"message": concat("", [
		"Too little is left of the {period} allowance for this model. Routing to ",
		requests.cheaper,
		".",
	]),
	"about": not_budgeted,
	"obligations": {"force_model": requests.cheaper},
} if {
	not _by_budget
}

# Else it is the bucket that had no room for the other one. Of money the cheaper model may take no more than there is.
_by_budget if over_reduces

_by_budget if {
	some id, "reduced_priority" in requests.actions
	endswith(id, ":usd:month")
}

# METADATA
# title: Over what reduces
# description: Whether a budget is used up beyond its end that only reduces.
# scope: document
over_reduces if {
	some id in over
	requests.actions[id] == "reduced_priority"
}

# METADATA
# title: Not budgeted
# description: Ids of the tenant's bucket, the tiers and the shares.
# scope: document
not_budgeted := [limit.id | some limit in own; not requests.actions[limit.id]]

# METADATA
# title: Of the user
# description: Ids of the user's budgets.
# scope: document
of_user := [limit.id | some limit in budgeted; startswith(limit.id, "user:")]

# A refusal is told by the first candidate, of which those budgets deny too that only reduce.
_stopped := [limit.id |
	some limit in budgeted
	limit.granted == false
	requests.actions[limit.id] == "hard_stop"
]

# METADATA
# title: Over
# description: Ids of budgets that are used up beyond their end.
# scope: document
over := [limit.id | some limit in budgeted; limit.over == true]

# What a tier or a team's share refused.
_too_many := [limit.id |
	some limit in own
	limit.granted == false
	regex.match(`:requests(:day)?$`, limit.id)
]

_refused := [limit.id | some limit in input.outcome.limits; limit.granted == false]

# METADATA
# title: Budgeted
# description: How budgets came out.
# scope: document
budgeted := [limit | some limit in own; requests.actions[limit.id]]

# METADATA
# title: Own
# description: How the limits came out but for those of the provider, and for what is counted for rules alone.
# scope: document
own := [limit | some limit in input.outcome.limits; not _is_shared(limit.id); not startswith(limit.id, "routing:")]

_is_shared(id) if startswith(id, "provider:")

_too_little_left := concat(" ", [
	"This request needs more than the {tokens_remaining} tokens left of the {period} allowance of {tokens_limit}.",
	"The whole allowance is there again at {reset_time}.",
])

_too_many_requests := concat(" ", [
	"This is beyond the {period} allowance of {tokens_limit} requests.",
	"The whole allowance is there again at {reset_time}.",
])

_not_asked := "Only the sidecar can grant a request: it asks the counters first."
