# METADATA
# title: Answers
# description: |
#   What the outcome of a take means, whichever package is asked: the denials, and what is told with what is allowed.
# schemas:
#   - input: schema.input
#   - data.config: schema.config
package lib.answers

import data.lib.decisions
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
	count(_kinds & {"cooldown", "circuit", "limit", "failed", "attempts"}) > 0
}

_kinds contains _kind(closed.gate) if some closed in input.outcome.closed

_kind(gate) := split(gate, ":")[0]

default _status := 503

_status := 429 if {
	_waiting_helps
	count(_kinds & {"cooldown", "limit"}) > 0
}

_waiting_helps if {
	not "attempts" in _kinds
	count(_kinds & {"cooldown", "circuit", "limit"}) > 0
}

_unavailable := concat("", [passed_over, ". Try again in {available_in}, at {available_at}."]) if _waiting_helps

_unavailable := concat("", [passed_over, "."]) if not _waiting_helps

default _about_provider := {}

_about_provider := {"about": short} if {
	short := [id | some id in _refused; _is_shared(id)]
	count(short) > 0
}

# METADATA
# title: Passed over
# description: Why candidates were passed over, in plain words, in their order.
# scope: document
passed_over := concat("; ", [concat(" ", [_called(model), concat(" and ", reasons)]) |
	some i, closed in input.outcome.closed
	model := closed.candidate
	every other in array.slice(input.outcome.closed, 0, i) {
		other.candidate != model
	}
	reasons := [_words(other.gate) | some other in input.outcome.closed; other.candidate == model]
])

_called("default") := "the model"

_called(model) := model if model != "default"

_words(gate) := "cools down after a rate limit" if _kind(gate) == "cooldown"

_words(gate) := "has failed too often and is left alone for a while" if _kind(gate) == "circuit"

_words(gate) := concat("", ["is at its provider's limit of ", words]) if {
	_kind(gate) == "limit"
	words := [named.words | some named in _limit_words; endswith(gate, named.end)][0]
}

_words(gate) := "is left to those who have used less of their budget" if startswith(gate, "budget:routing:")

_words(gate) := "needs more than is left of a budget or an allowance" if {
	_kind(gate) == "budget"
	not startswith(gate, "budget:routing:")
}

_words(gate) := concat("", ["has failed in this run (", _failure_words[split(gate, ":")[1]], ")"]) if {
	_kind(gate) == "failed"
}

_words(gate) := concat("", ["does not stand in after ", _failure_words[split(gate, ":")[1]]]) if _kind(gate) == "on"

_words("attempts") := "may not be tried again, as this run has made all its attempts"

_limit_words := [
	{"end": ":requests:day", "words": "requests a day"},
	{"end": ":requests", "words": "requests a minute"},
	{"end": ":input_tokens", "words": "input tokens a minute"},
	{"end": ":output_tokens", "words": "output tokens a minute"},
	{"end": ":tokens", "words": "tokens a minute"},
]

_failure_words := {
	"rate_limit": "a rate limit",
	"timeout": "a time-out",
	"unavailable": "an outage",
	"circuit": "repeated failures",
	"authentication": "a refused key",
	"invalid_request": "an invalid request",
	"budget": "a budget that is used up",
	"other": "another failure",
}

# METADATA
# title: Beyond a limit
# description: What is different where something was exceeded that only tells.
# scope: document
default beyond := {}

beyond := {"reason": "over_soft_limit", "message": requests.exceeded.soft_limit.message} if {
	not over_reduces
	count(_over) > 0
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
	some id in _over
	requests.actions[id] == "reduced_priority"
}

# METADATA
# title: Not budgeted
# description: Ids of the tenant's bucket, the tiers and the shares.
# scope: document
not_budgeted := [limit.id | some limit in _own; not requests.actions[limit.id]]

# Ids of budgets: the user's, those that stopped the request, those that are used up beyond their end. A refusal is
# told by the first candidate, of which those that only reduce deny too.
_of_user := [limit.id | some limit in _budgeted; startswith(limit.id, "user:")]

_stopped := [limit.id |
	some limit in _budgeted
	limit.granted == false
	requests.actions[limit.id] == "hard_stop"
]

_over := [limit.id | some limit in _budgeted; limit.over == true]

# What a tier or a team's share refused.
_too_many := [limit.id |
	some limit in _own
	limit.granted == false
	regex.match(`:requests(:day)?$`, limit.id)
]

_refused := [limit.id | some limit in input.outcome.limits; limit.granted == false]

_budgeted := [limit | some limit in _own; requests.actions[limit.id]]

# Not those of the provider, nor what is counted for rules alone.
_own := [limit | some limit in input.outcome.limits; not _is_shared(limit.id); not startswith(limit.id, "routing:")]

_is_shared(id) if startswith(id, "provider:")

# METADATA
# title: Told
# description: The warnings, the footer and the notices that are due with what is allowed.
# scope: document
told := object.union(_about, {
	"warnings": array.concat(_warnings, _approaching),
	"obligations": object.union(_footer, _notices),
})

default _about := {}

_about := {"about": _over} if count(_over) > 0

_about := {"about": _of_user} if {
	count(_over) == 0
	count(_of_user) > 0
}

# What all tenants share tells nobody how much is left to it.
_about := {"about": [limit.id | some limit in _own]} if {
	count(_over) == 0
	count(_of_user) == 0
	count(_own) > 0
	count(_own) < count(input.outcome.limits)
}

_rules := data.config.budgets.per_user_budgets

# Of several thresholds that one request crosses the highest is told, and that of the day in the words of the file.
_warnings := [warning.message |
	some limit in _crossed
	endswith(limit.id, ":day")
	some warning in _rules.warnings
	warning.at_percent == max(_told_of(limit))
]

_approaching := [_rules.on_approaching_limit.message_template |
	count(_crossed) > 0
	_rules.on_approaching_limit.action == "warn"
]

_crossed := [limit |
	some limit in _budgeted
	startswith(limit.id, "user:")
	count(_told_of(limit)) > 0
]

# That a budget is used up is counted too, for the admin; the user is told what the file says.
_told_of(limit) := {warning.at_percent |
	some warning in _rules.warnings
	warning.at_percent in limit.crossed
}

default _footer := {}

_footer := {"footer": _rules.budget_footer} if {
	_rules.include_budget_in_response
	count(_of_user) > 0
}

default _notices := {}

_notices := {"notify": _notices_due} if count(_notices_due) > 0

# Each threshold once in its period, as the counters announce it; that a soft limit is reached, if the file says so.
_notices_due := [notice |
	some limit in _budgeted
	some percent in limit.crossed
	_is_told(percent, requests.actions[limit.id])
	notice := {"to": "admin", "kind": "budget", "limit": limit.id, "percent": percent}
]

_is_told(percent, _) if percent < 100

_is_told(percent, action) if {
	percent >= 100
	action != "soft_limit"
}

_is_told(percent, "soft_limit") if {
	percent >= 100
	requests.exceeded.soft_limit.notify_admin
}

_too_little_left := concat(" ", [
	"This request needs more than the {tokens_remaining} tokens left of the {period} allowance of {tokens_limit}.",
	"The whole allowance is there again at {reset_time}.",
])

_too_many_requests := concat(" ", [
	"This is beyond the {period} allowance of {tokens_limit} requests.",
	"The whole allowance is there again at {reset_time}.",
])

_not_asked := "Only the sidecar can grant a request: it asks the counters first."
