# METADATA
# title: Requests
# description: |
#   What a request draws on, whichever package is asked: the bucket of its tenant, its tier, its budgets, and what the
#   provider account of the model allows; or why it is refused before anything is taken.
# schemas:
#   - input: schema.input
#   - data.config: schema.config
package lib.requests

import data.lib.budgets
import data.lib.decisions
import data.lib.limits
import data.lib.models
import data.lib.providers as accounts
import data.lib.tiers

# METADATA
# title: Model
# description: The model asked for, as the request says it.
# scope: document
model := object.get(input, "model", "")

# METADATA
# title: Name
# description: The same as a candidate is called. A candidate has a name, and a request may name no model.
# scope: document
default name := "default"

name := model if {
	is_string(model)
	model != ""
}

# METADATA
# title: Exceeded
# description: What happens at the end of a budget, as the file says it.
# scope: document
exceeded := data.config.budgets.per_user_budgets.on_limit_exceeded

# METADATA
# title: Cheaper
# description: The model that is forced beyond a budget that only reduces.
# scope: document
cheaper := exceeded.reduced_priority.force_model

# METADATA
# title: Actions
# description: What happens beyond each budget of the request, by the limit's id.
# scope: document
actions := budgets.actions(input, data.config.budgets)

# METADATA
# title: Reduces
# description: Whether a budget of the request only reduces.
# scope: document
reduces if "reduced_priority" in {action | some action in actions}

# METADATA
# title: Candidate
# description: |
#   The candidate `called` for a model, with all that it draws on. The cheaper one may exceed what only reduces.
#   `share` is what it may use of the user's daily budget, see below; null: that is not counted.
# scope: document
candidate(called, of_model, share) := object.union(shared, {
	"model": called,
	"limits": array.flatten([_own(called, of_model), _share(share), shared.limits]),
}) if {
	shared := accounts.shared(of_model, _estimate, _providers)
}

# METADATA
# title: Share
# description: |
#   A user's tokens of the day are counted once more where a rule of `providers.yaml` asks how many percent of the
#   budget are used, by all requests alike: without stopping anybody, unless a rule does.
# scope: document
default share := null

share := {
	"percent": min({rule.when.budget_used_percent_from | some rule in _providers.rules}),
	"on_exceed": "flag",
}

# METADATA
# title: Has a daily budget
# description: Whether the request's user has one.
# scope: document
has_daily_budget if count(_days) > 0

# METADATA
# title: Prompt tokens
# description: Of the request; undefined where it says nothing of its length.
# scope: document
prompt_tokens := budgets.prompt_tokens(input)

# METADATA
# title: Chain
# description: What stands in for a model.
# scope: document
chain(of_model) := accounts.chain(of_model, _providers)

# METADATA
# title: Refusal
# description: Why nothing is taken at all; undefined where there is no reason.
# scope: document
refusal := decisions.refusal("unknown_tenant", 403, "The request names no tenant.") if not _named

refusal := decisions.refusal("unknown_tenant", 403, "This tenant is not known.") if {
	_named
	_tenants.unknown_tenants == "deny"
	not _tenants.tenants[input.tenant_id]
}

refusal := decisions.refusal("unidentified", 401, "The request names no user.") if {
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

_own(called, of_model) := array.flatten([
	_bucket(of_model),
	_tiers,
	budgets.limits_of(input, data.config.budgets, _cost(of_model), _denying(called)),
])

_bucket(of_model) := limits.token_bucket({
	"subject": {"type": "tenant", "id": input.tenant_id},
	"unit": "tokens",
	"capacity": _tenant.capacity,
	"refill": limits.refilled(_tenant.refill, _tenant.capacity),
	"cost": models.weight(of_model, data.config.models),
	"billed": true,
})

_tenant := object.union(_tenants.defaults, object.get(_tenants.tenants, input.tenant_id, {}))

_tenants := data.config.tenants

_tiers := tiers.limits_of(input, data.config.teams, data.config.users)

_cost(of_model) := budgets.cost(_estimated, of_model, data.config.models)

# They are the same with every model.
_tokens := budgets.cost(_estimated, "", {"models": {}}).tokens

_estimated := budgets.estimate(input, data.config.budgets)

_denying(called) := {"hard_stop"} if {
	reduces
	called == cheaper
} else := {"hard_stop", "reduced_priority"}

_days := [budget |
	some budget in budgets.drawn_on(input, data.config.budgets)
	budget.subject.type == "user"
	budget.period == "day"
]

_share(null) := []

_share(said) := [limits.window({
	"subject": {"type": "routing", "id": day.subject.id},
	"unit": "tokens",
	"capacity": floor((day.capacity / 100) * said.percent),
	"cost": _tokens,
	"settles": true,
	"window": budgets.window("day", data.config.budgets),
	"on_exceed": said.on_exceed,
}) |
	is_object(said)
	some day in _days
]

# Of a configuration that says nothing of providers, too.
default _providers := {
	"accounts": {},
	"account_of_model": {},
	"account_of_prefix": [],
	"account_of_provider": {},
	"id_of_alias": {},
	"chains": {},
	"rules": [],
}

_providers := data.config.providers

_estimate := accounts.estimate(_tokens, _estimated.input, budgets.answer_tokens(input))
