# METADATA
# title: Rate limit
# description: |
#   Each tenant has one bucket of tokens, as `config/tenants.yaml` says. A request takes as many as its model weighs,
#   and they are what the tenant is billed for. Beside it users, departments, projects, teams and tenants have budgets
#   of LLM tokens, as `config/budgets.yaml` says. Whichever is short decides.
# schemas:
#   - input: schema.input
#   - data.config: schema.config
package openclaw.rate_limit

import data.lib.budgets
import data.lib.decisions
import data.lib.limits
import data.lib.models
import data.lib.tiers

# METADATA
# title: Plan
# description: What a request draws on, or why it is refused before anything is taken.
# scope: document
# entrypoint: true
plan := {"refuse": _refusal}

plan := {"limits": _limits(_model, {"hard_stop", "reduced_priority"})} if {
	not _refusal
	not _reduces
}

# The model asked for, as long as there is budget; then the cheaper one, which may exceed what only reduces.
plan := {"candidates": [
	{"model": _model_name, "limits": _limits(_model, {"hard_stop", "reduced_priority"})},
	{"model": _cheaper, "limits": _limits(_cheaper, {"hard_stop"})},
]} if {
	not _refusal
	_reduces
	_model_name != _cheaper
}

plan := {"limits": _limits(_cheaper, {"hard_stop"})} if {
	not _refusal
	_reduces
	_model_name == _cheaper
}

_limits(model, denying) := array.flatten([
	_bucket(model),
	tiers.limits_of(input, data.config.teams, data.config.users),
	budgets.limits_of(input, _budgets, _cost(model), denying),
])

_cost(model) := budgets.cost(budgets.estimate(input, _budgets), model, data.config.models)

_bucket(model) := limits.token_bucket({
	"subject": {"type": "tenant", "id": input.tenant_id},
	"unit": "tokens",
	"capacity": _tenant.capacity,
	"refill": limits.refilled(_tenant.refill, _tenant.capacity),
	"cost": models.weight(model, data.config.models),
	"billed": true,
})

_model := object.get(input, "model", "")

# A candidate has a name, and a request may name no model.
default _model_name := "default"

_model_name := _model if {
	is_string(_model)
	_model != ""
}

_budgets := data.config.budgets

_exceeded := _budgets.per_user_budgets.on_limit_exceeded

_cheaper := _exceeded.reduced_priority.force_model

_actions := budgets.actions(input, _budgets)

_reduces if "reduced_priority" in {action | some action in _actions}

_tenant := object.union(_tenants.defaults, object.get(_tenants.tenants, input.tenant_id, {}))

_tenants := data.config.tenants

_refusal := decisions.refusal("unknown_tenant", 403, "The request names no tenant.") if not _named

_refusal := decisions.refusal("unknown_tenant", 403, "This tenant is not known.") if {
	_named
	_tenants.unknown_tenants == "deny"
	not _tenants.tenants[input.tenant_id]
}

_refusal := decisions.refusal("unidentified", 401, "The request names no user.") if {
	_named
	_is_served
	data.config.authentication.require_user
	not _has_user
}

_is_served if _tenants.unknown_tenants != "deny"

_is_served if _tenants.tenants[input.tenant_id]

_has_user if {
	is_string(input.user_id)
	input.user_id != ""
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
decision := object.union_n([decisions.allowed, _told, _granted]) if input.outcome.granted == true

decision := object.union(
	decisions.denied("budget_exceeded", _exceeded.hard_stop.status_code, _exceeded.hard_stop.message),
	{"about": _short},
) if {
	input.outcome.granted == false
	count(_short) > 0
}

decision := object.union(decisions.denied("rate_limited", 429, _too_many_requests), {"about": _too_many}) if {
	input.outcome.granted == false
	count(_short) == 0
	count(_too_many) > 0
}

decision := object.union(decisions.denied("rate_limited", 429, _too_little_left), {"about": _not_budgeted}) if {
	input.outcome.granted == false
	count(_short) == 0
	count(_too_many) == 0
}

decision := decisions.denied("policy_error", 500, _not_asked) if not _asked

_asked if is_boolean(input.outcome.granted)

default _granted := {}

_granted := {"reason": "over_soft_limit", "message": _exceeded.soft_limit.message} if {
	not _routed
	not _over_reduces
	count(_over) > 0
}

# The cheaper model was asked for to begin with.
_granted := {"reason": "over_soft_limit", "message": _exceeded.reduced_priority.message} if {
	not _routed
	_over_reduces
}

_granted := {
	"reason": "routed_cheaper",
	"message": _exceeded.reduced_priority.message,
	"obligations": {"force_model": _cheaper},
} if {
	_routed
	_by_budget
}

_granted := {
	"reason": "routed_cheaper",
	"message": concat("", ["Too little is left of the {period} allowance for this model. Routing to ", _cheaper, "."]),
	"about": _not_budgeted,
	"obligations": {"force_model": _cheaper},
} if {
	_routed
	not _by_budget
}

# The cheaper model stands in for another one.
_routed if {
	_reduces
	input.outcome.candidate == _cheaper
	_model_name != _cheaper
}

# Else it is the bucket that had no room for the other one. Of money the cheaper model may take no more than there is.
_by_budget if _over_reduces

_by_budget if {
	some id, "reduced_priority" in _actions
	endswith(id, ":usd:month")
}

_over_reduces if {
	some id in _over
	_actions[id] == "reduced_priority"
}

# Ids of budgets: the user's, those that stopped the request, those that are used up beyond their end. A refusal is
# told by the first candidate, of which those that only reduce deny too.
_of_user := [limit.id | some limit in _budgeted; startswith(limit.id, "user:")]

_short := [limit.id | some limit in _budgeted; limit.granted == false; _actions[limit.id] == "hard_stop"]

_over := [limit.id | some limit in _budgeted; limit.over == true]

# What a tier or a team's share refused.
_too_many := [limit.id |
	some limit in input.outcome.limits
	limit.granted == false
	regex.match(`:requests(:day)?$`, limit.id)
]

_not_budgeted := [limit.id | some limit in input.outcome.limits; not _actions[limit.id]]

_budgeted := [limit | some limit in input.outcome.limits; _actions[limit.id]]

# The warnings, the footer and the notices that are due with what is allowed.
_told := object.union(_about, {
	"warnings": array.concat(_warnings, _approaching),
	"obligations": object.union(_footer, _notices),
})

default _about := {}

_about := {"about": _over} if count(_over) > 0

_about := {"about": _of_user} if {
	count(_over) == 0
	count(_of_user) > 0
}

# Of several thresholds that one request crosses the highest is told, and that of the day in the words of the file.
_warnings := [warning.message |
	some limit in _crossed
	endswith(limit.id, ":day")
	some warning in _budgets.per_user_budgets.warnings
	warning.at_percent == max(_told_of(limit))
]

_approaching := [_budgets.per_user_budgets.on_approaching_limit.message_template |
	count(_crossed) > 0
	_budgets.per_user_budgets.on_approaching_limit.action == "warn"
]

_crossed := [limit |
	some limit in _budgeted
	startswith(limit.id, "user:")
	count(_told_of(limit)) > 0
]

# That a budget is used up is counted too, for the admin; the user is told what the file says.
_told_of(limit) := {warning.at_percent |
	some warning in _budgets.per_user_budgets.warnings
	warning.at_percent in limit.crossed
}

default _footer := {}

_footer := {"footer": _budgets.per_user_budgets.budget_footer} if {
	_budgets.per_user_budgets.include_budget_in_response
	count(_of_user) > 0
}

default _notices := {}

_notices := {"notify": _notices_due} if count(_notices_due) > 0

# Each threshold once in its period, as the counters announce it; that a soft limit is reached, if the file says so.
_notices_due := [notice |
	some limit in _budgeted
	some percent in limit.crossed
	_is_told(percent, _actions[limit.id])
	notice := {"to": "admin", "kind": "budget", "limit": limit.id, "percent": percent}
]

_is_told(percent, _) if percent < 100

_is_told(percent, action) if {
	percent >= 100
	action != "soft_limit"
}

_is_told(percent, "soft_limit") if {
	percent >= 100
	_exceeded.soft_limit.notify_admin
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

# METADATA
# title: Allow
# description: Whether the request may proceed.
# scope: document
# entrypoint: true
default allow := false

allow if decision.allow
