# METADATA
# title: Rate limit
# description: |
#   Each tenant has one bucket of tokens, as `config/tenants.yaml` says. A request takes as many as its model weighs,
#   and they are what the tenant is billed for. Beside it users, departments, projects, teams and tenants have budgets
#   of LLM tokens, as `config/budgets.yaml` says, and providers their limits, as `config/providers.yaml` says. Whichever
#   is short decides. The model is another one only where a budget says so: `openclaw.routing` chooses among models.
# schemas:
#   - input: schema.input
#   - data.config: schema.config
package openclaw.rate_limit

import data.lib.answers
import data.lib.decisions
import data.lib.requests
import data.lib.told

# METADATA
# title: Plan
# description: What a request draws on, or why it is refused before anything is taken.
# scope: document
# entrypoint: true
plan := {"refuse": requests.refusal}

plan := {"limits": _candidates[0].limits} if {
	not requests.refusal
	not _is_choice
}

plan := {"candidates": _candidates} if {
	not requests.refusal
	_is_choice
}

_is_choice if count(_candidates) > 1

_is_choice if _candidates[0].gates

# The model asked for, as long as there is budget; then the cheaper one, which may exceed what only reduces.
_candidates := array.concat([_asked], _cheaper)

_asked := requests.candidate(requests.name, requests.model, requests.share)

default _cheaper := []

_cheaper := [object.union(candidate, _only_for_budgets)] if {
	requests.reduces
	requests.name != requests.cheaper
	candidate := requests.candidate(requests.cheaper, requests.cheaper, requests.share)
}

# What its provider refuses makes the model no other one.
default _only_for_budgets := {}

_only_for_budgets := {"on": ["budget"]} if _asked.gates

# METADATA
# title: Decision
# description: What the outcome of the take means for the request. Without an outcome it is a denial.
# scope: document
# entrypoint: true
decision := object.union_n([decisions.allowed, told.with_grant, _granted]) if _is_granted

decision := answers.denied if not _is_granted

_is_granted if input.outcome.granted == true

_granted := answers.to_cheaper if _routed

_granted := answers.beyond if not _routed

# The cheaper model stands in for another one.
_routed if {
	requests.reduces
	input.outcome.candidate == requests.cheaper
	requests.name != requests.cheaper
}

# METADATA
# title: Allow
# description: Whether the request may proceed.
# scope: document
# entrypoint: true
default allow := false

allow if decision.allow
