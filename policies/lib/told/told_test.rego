package lib.told_test

import data.lib.told

config := {"budgets": {
	"per_user_budgets": {
		"enabled": true,
		"default_limits": {"daily_tokens": 1000},
		"user_overrides": {},
		"role_limits": {},
		"rollover": {"enabled": false, "max_rollover_tokens": 0},
		"on_limit_exceeded": {
			"action": "hard_stop",
			"hard_stop": {"message": "hard", "status_code": 429},
			"reduced_priority": {"force_model": "lab/cheap", "message": "cheaper"},
		},
	},
	"department_budgets": {},
	"project_budgets": {},
	"team_budgets": {},
	"tenant_budgets": {},
}}

about(limits) := ids if {
	outcome := {"granted": true, "limits": [{"id": id, "granted": true, "over": false, "crossed": []} | some id in limits]}
	ids := told.with_grant.about with input as {"tenant_id": "acme", "outcome": outcome} with data.config as object.union(
		config,
		{"budgets": {"per_user_budgets": {"warnings": [], "include_budget_in_response": false}}},
	)
}

test_numbers_of_a_provider_are_nobodys_own if {
	about(["tenant:acme:tokens", "provider:main:requests"]) == ["tenant:acme:tokens"]
	not about(["tenant:acme:tokens"])
}

# What is told where the user's day came out so.
told_of(day, rules) := said if {
	limit := object.union({"id": "user:alice:tokens:day", "granted": true, "over": false, "crossed": []}, day)
	request := {"tenant_id": "acme", "user_id": "alice", "outcome": {"granted": true, "limits": [limit]}}
	usual := {
		"warnings": [{"at_percent": 75, "message": "75"}, {"at_percent": 90, "message": "90"}],
		"on_approaching_limit": {"action": "warn", "message_template": "near"},
		"include_budget_in_response": true,
		"budget_footer": "foot",
	}
	settings := object.union(config, {"budgets": {"per_user_budgets": object.union(usual, rules)}})
	said := told.with_grant with input as request with data.config as settings
}

test_numbers_are_those_of_the_user_and_first_of_what_is_used_up if {
	told_of({}, {}).about == ["user:alice:tokens:day"]
	told_of({"over": true}, {}).about == ["user:alice:tokens:day"]
}

test_the_highest_threshold_is_told_and_all_of_them_to_the_admin if {
	said := told_of({"crossed": [75, 90]}, {})
	said.warnings == ["90", "near"]
	[notice.percent | some notice in said.obligations.notify] == [75, 90]
	told_of({"crossed": [75]}, {"on_approaching_limit": {"action": "none"}}).warnings == ["75"]
}

soft(notify) := {"on_limit_exceeded": {
	"action": "soft_limit",
	"soft_limit": {"message": "", "notify_admin": notify},
}}

test_the_end_of_a_soft_limit_is_told_to_the_admin_where_the_file_says_so if {
	count(told_of({"crossed": [100]}, {}).obligations.notify) == 1
	count(told_of({"crossed": [100]}, soft(true)).obligations.notify) == 1
	not told_of({"crossed": [100]}, soft(false)).obligations.notify
}

test_a_footer_is_told_where_the_file_says_so if {
	told_of({}, {}).obligations.footer == "foot"
	not told_of({}, {"include_budget_in_response": false}).obligations.footer
}
