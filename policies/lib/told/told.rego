# METADATA
# title: Told
# description: What users and admins are told, whichever package is asked, as `config/budgets.yaml` says.
# schemas:
#   - input: schema.input
#   - data.config: schema.config
package lib.told

import data.lib.answers
import data.lib.requests

# METADATA
# title: With what is allowed
# description: The warnings, the footer and the notices that are due with what is allowed.
# scope: document
with_grant := object.union(_about, {
	"warnings": array.concat(_warnings, _approaching),
	"obligations": object.union(_footer, _notices),
})

default _about := {}

_about := {"about": answers.over} if count(answers.over) > 0

_about := {"about": answers.of_user} if {
	count(answers.over) == 0
	count(answers.of_user) > 0
}

# What all tenants share tells nobody how much is left to it.
_about := {"about": [limit.id | some limit in answers.own]} if {
	count(answers.over) == 0
	count(answers.of_user) == 0
	count(answers.own) > 0
	count(answers.own) < count(input.outcome.limits)
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
	some limit in answers.budgeted
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
	count(answers.of_user) > 0
}

default _notices := {}

_notices := {"notify": _notices_due} if count(_notices_due) > 0

# Each threshold once in its period, as the counters announce it; that a soft limit is reached, if the file says so.
_notices_due := [notice |
	some limit in answers.budgeted
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
