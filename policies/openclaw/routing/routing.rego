# METADATA
# title: Routing
# description: |
#   Which model serves a request: the one that a rule of `config/providers.yaml` says, else the one asked for; where
#   that is out, what stands in for it. Each draws on all that `openclaw.rate_limit` counts too.
# schemas:
#   - input: schema.input
#   - data.config: schema.config
package openclaw.routing

import data.lib.answers
import data.lib.decisions
import data.lib.passed_over
import data.lib.requests
import data.lib.told

# METADATA
# title: Plan
# description: What a request draws on with each model, in their order, or why it is refused before anything is taken.
# scope: document
# entrypoint: true
plan := {"refuse": requests.refusal}

plan := object.union({"candidates": _candidates}, _attempts) if not requests.refusal

_attempts := object.filter(_chain, ["max_attempts"])

# The model that a rule says or the request, what stands in for it, those of rules by budget, and that of the budgets.
_candidates := [object.union(candidate, _on(i, model)) |
	some i, model in _models
	candidate := requests.candidate(model, _of_model(model), _shares[model])
]

_models := [model |
	some i, model in _named
	not model in array.slice(_named, 0, i)
]

_named := array.flatten([_first, _chain.models, [stage.model | some stage in _stages], _cheaper])

_first := requests.name if not _rule

_first := _rule.model if _rule

_chain := requests.chain(_first)

default _cheaper := []

_cheaper := [requests.cheaper] if requests.reduces

# A name that stands for none has no weight and no provider.
_of_model(model) := requests.model if {
	model == requests.name
} else := model

# The first is whatever comes; others for the reasons of the chain; those that are for short budgets also for these.
_on(0, _) := {}

_on(i, model) := {"on": _chain.on} if {
	i > 0
	not model in _for_budgets
}

_on(i, model) := {"on": array.concat(_chain.on, ["budget"])} if {
	i > 0
	model in _for_budgets
}

_for_budgets := {stage.model | some stage in _stages} | {model | some model in _cheaper}

# How far the user's daily budget may be used for each model. One that a rule by budget names serves until the next
# begins, the last of them to the end; those that no such rule names until the first.
_shares[model] := share if some model, share in _until

_shares[model] := requests.share if {
	some model in _models
	not _until[model]
}

_until[model] := {"percent": _stages[0].percent, "on_exceed": "deny"} if {
	some model in _models
	not model in _for_budgets
}

_until[stage.model] := {"percent": _stages[i + 1].percent, "on_exceed": "deny"} if {
	some i, stage in _stages
	i == max({last | some last, other in _stages; other.model == stage.model})
}

# Rules by budget that may come to apply, the earliest first. How much is used is known to the counters alone: so each
# is a candidate, after those that may not use as much. One that begins no earlier than one before it never applies.
_stages := array.reverse([{"percent": percent, "model": rule.model} |
	some i, rule in _by_budget
	percent := rule.when.budget_used_percent_from
	every earlier in array.slice(_by_budget, 0, i) {
		earlier.when.budget_used_percent_from > percent
	}
])

_by_budget := [rule |
	some i, rule in _matching
	rule.when.budget_used_percent_from
	every other in array.slice(_matching, 0, i) {
		other.when.budget_used_percent_from
	}
]

# The first that applies however much of the budget is used.
_rule := [rule | some rule in _matching; not rule.when.budget_used_percent_from][0]

_matching := [rule | some i, rule in _rules; not i in _failing]

default _rules := []

_rules := data.config.providers.rules

_failing contains i if {
	some i, rule in _rules
	_by_length(rule.when)
	not _fits(_length, rule.when)
}

_failing contains i if {
	some i, rule in _rules
	rule.when.roles
	not object.get(input, "role", "") in rule.when.roles
}

_failing contains i if {
	some i, rule in _rules
	rule.when.task_classes
	not object.get(input, "task_class", "") in rule.when.task_classes
}

_failing contains i if {
	some i, rule in _rules
	rule.when.budget_used_percent_from
	not requests.has_daily_budget
}

_by_length(when) if when.input_tokens_below

_by_length(when) if when.input_tokens_from

# A prompt of which nothing is said is neither short nor long.
default _length := -1

_length := requests.prompt_tokens

_fits(length, when) if {
	length >= object.get(when, "input_tokens_from", 0)
	length < object.get(when, "input_tokens_below", length + 1)
}

# METADATA
# title: Decision
# description: What the outcome of the take means for the request. Without an outcome it is a denial.
# scope: document
# entrypoint: true
decision := object.union_n([decisions.allowed, told.with_grant, _granted]) if _is_granted

decision := answers.denied if not _is_granted

_is_granted if input.outcome.granted == true

_granted := answers.to_cheaper if {
	_is_cheaper
} else := object.union(answers.beyond, {
	"reason": "routed_cheaper",
	"message": _sentences([_so_much_used, object.get(answers.beyond, "message", "")]),
	"obligations": _forced,
}) if {
	_began
} else := object.union(answers.beyond, {
	"message": _sentences([_routed, object.get(answers.beyond, "message", "")]),
	"obligations": _forced,
}) if {
	_chosen != requests.name
} else := answers.beyond

_chosen := input.outcome.candidate

# A budget or the bucket is short, and the model is the one for that.
_is_cheaper if {
	requests.reduces
	_chosen == requests.cheaper
	_chosen != _first
	_own_is_short
}

_own_is_short if answers.over_reduces

_own_is_short if {
	some closed in input.outcome.closed
	startswith(closed.gate, "budget:")
	not startswith(closed.gate, _counted_for_rules)
}

# A rule by budget has begun to apply.
_began if {
	some stage in _stages
	stage.model == _chosen
	some closed in input.outcome.closed
	startswith(closed.gate, _counted_for_rules)
}

_counted_for_rules := "budget:routing:"

_so_much_used := concat("", [
	format_int(max({stage.percent | some stage in _stages; stage.model == _chosen}), 10),
	" % of the daily budget are used; routed to ",
	_chosen,
	".",
])

_routed := concat("", ["Routed to ", _chosen, ", as a rule says."]) if passed_over.words == ""

_routed := concat("", [passed_over.words, "; routed to ", _chosen, "."]) if passed_over.words != ""

_sentences(parts) := concat(" ", [part | some part in parts; part != ""])

default _forced := {}

_forced := {"force_model": _chosen} if _chosen != requests.name

# METADATA
# title: Allow
# description: Whether the request may proceed.
# scope: document
# entrypoint: true
default allow := false

allow if decision.allow
