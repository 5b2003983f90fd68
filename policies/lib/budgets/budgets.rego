# METADATA
# title: Budgets
# description: |
#   What `config/budgets.yaml` gives each user, department, project, team and tenant in a day and a month, as windows
#   of a plan. `budgets` is the file, `request` the input.
package lib.budgets

import data.lib.limits
import data.lib.models

# METADATA
# title: Limits
# description: |
#   The windows that a request of so many tokens and nano-dollars draws on, in a fixed order. Those whose action is
#   among `denying` refuse what is beyond them, the others are exceeded and tell.
# scope: document
limits_of(request, budgets, cost, denying) := [limit |
	some budget in drawn_on(request, budgets)
	limit := limits.window({
		"subject": budget.subject,
		"unit": budget.unit,
		"capacity": budget.capacity,
		"cost": cost[budget.unit],
		"settles": true,
		"window": object.union(window(budget.period, budgets), budget.rollover),
		"thresholds": _thresholds(budgets),
		"on_exceed": _on_exceed(budget.action, denying),
	})
]

# METADATA
# title: Window
# description: The `day` or the `month` of the file's schedule.
# scope: document
window("day", budgets) := {
	"period": "day",
	"reset_time": budgets.per_user_budgets.reset_schedule.daily_reset_time,
	"timezone": budgets.per_user_budgets.reset_schedule.timezone,
}

window("month", budgets) := {
	"period": "month",
	"reset_time": budgets.per_user_budgets.reset_schedule.daily_reset_time,
	"reset_day": budgets.per_user_budgets.reset_schedule.monthly_reset_day,
	"timezone": budgets.per_user_budgets.reset_schedule.timezone,
}

# METADATA
# title: Drawn on
# description: |
#   The budgets of a request, each with its `subject`, `unit`, `period`, `capacity` and `action`, the user's first.
# scope: document
drawn_on(request, budgets) := array.concat(_of_user(request, budgets), _of_groups(request, budgets))

# METADATA
# title: Actions
# description: |
#   What happens beyond the budgets of the request, `hard_stop`, `reduced_priority` or `soft_limit`, by the limit's
#   id.
# scope: document
actions(request, budgets) := {id: budget.action |
	some budget in drawn_on(request, budgets)
	id := concat(":", [budget.subject.type, budget.subject.id, budget.unit, budget.period])
}

# METADATA
# title: Estimate
# description: |
#   What a call will take before it is known, as tokens of its prompt and its answer: by what the request says of them,
#   else a token for four characters, and the answer that the file expects.
# scope: document
estimate(request, budgets) := {"input": input_tokens, "output": max({0, total - input_tokens})} if {
	total := _amount(request, "estimated_tokens")
	input_tokens := min({total, _prompt(request)})
} else := {"input": _prompt(request), "output": _answer(request, budgets)}

# METADATA
# title: Cost
# description: |
#   The estimate in the units of budgets: tokens, one at least, and nano-dollars by the rate card, 0 without a price.
# scope: document
cost(estimated, model, card) := {
	"tokens": max({1, min({estimated.input + estimated.output, _most})}),
	"usd": ceil((estimated.input * price.input) + (estimated.output * price.output)),
} if {
	price := models.nanos_per_token(model, card)
}

# METADATA
# title: Prompt tokens
# description: Those that the request says, else a token for four characters; undefined where it says neither.
# scope: document
prompt_tokens(request) := _amount(request, "input_tokens")

prompt_tokens(request) := ceil(_amount(request, "prompt_chars") / 4) if not _says(request, "input_tokens")

# METADATA
# title: Answer tokens
# description: The most that the request says the answer may have; 0 where it says nothing.
# scope: document
answer_tokens(request) := _amount(request, "max_output_tokens") if {
	_says(request, "max_output_tokens")
} else := 0

_prompt(request) := tokens if {
	tokens := prompt_tokens(request)
} else := 0

_answer(request, _) := answer_tokens(request) if _says(request, "max_output_tokens")

_answer(request, budgets) := budgets.per_user_budgets.expected_output_tokens if {
	not _says(request, "max_output_tokens")
}

# What is no amount is passed over: it must neither make a call cheaper nor fail it.
_amount(request, field) := min({ceil(request[field]), _most}) if {
	is_number(request[field])
	request[field] >= 0
}

_says(request, field) if _amount(request, field) >= 0

# A call of more tokens than these is no call.
_most := 1000000000000

_of_user(request, budgets) := [budget |
	budgets.per_user_budgets.enabled
	is_string(request.user_id)
	request.user_id != ""
	some period in ["day", "month"]
	budget := {
		"subject": {"type": "user", "id": request.user_id},
		"unit": "tokens",
		"period": period,
		"capacity": _capacity_of_user(request, budgets.per_user_budgets, period) + _granted(request),
		"action": budgets.per_user_budgets.on_limit_exceeded.action,
		"rollover": _rollover(budgets.per_user_budgets.rollover),
	}
]

# An override takes the place of the default and the role's limit, of which the stricter counts.
_capacity_of_user(request, budget, period) := budget.user_overrides[request.user_id][_tokens[period]]

_capacity_of_user(request, budget, period) := min(_usual(request, budget, period)) if {
	not budget.user_overrides[request.user_id][_tokens[period]]
	count(_usual(request, budget, period)) > 0
}

# What an admin has granted on top, for a while.
_granted(request) := object.get(request, "granted_tokens", 0)

_usual(request, budget, period) := {limit | limit := budget.default_limits[_tokens[period]]} | {limit |
	period == "day"
	limit := budget.role_limits[request.role]
}

_of_groups(request, budgets) := [budget |
	some group in _groups
	id := request[group.field]
	limits_of_group := budgets[group.budgets][id]
	some rule in _rules
	budget := {
		"subject": {"type": group.type, "id": id},
		"unit": rule.unit,
		"period": rule.period,
		"capacity": limits_of_group[rule.field],
		"action": object.get(limits_of_group, "action", budgets.per_user_budgets.on_limit_exceeded.action),
		"rollover": {},
	}
]

_groups := [
	{"type": "department", "field": "department_id", "budgets": "department_budgets"},
	{"type": "project", "field": "project_id", "budgets": "project_budgets"},
	{"type": "team", "field": "team_id", "budgets": "team_budgets"},
	{"type": "tenant", "field": "tenant_id", "budgets": "tenant_budgets"},
]

_rules := [
	{"field": "daily_tokens", "unit": "tokens", "period": "day"},
	{"field": "monthly_tokens", "unit": "tokens", "period": "month"},
	{"field": "usd", "unit": "usd", "period": "month"},
]

_tokens := {"day": "daily_tokens", "month": "monthly_tokens"}

_rollover(rule) := {"rollover": {"max": rule.max_rollover_tokens}} if rule.enabled

_rollover(rule) := {} if not rule.enabled

# That a budget is used up is told as well.
_thresholds(budgets) := sort({100} | {warning.at_percent | some warning in budgets.per_user_budgets.warnings})

_on_exceed(action, denying) := "deny" if action in denying

_on_exceed(action, denying) := "flag" if not action in denying
