package lib.answers_test

import data.lib.answers

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

reducing := object.union(config, {"budgets": {"per_user_budgets": {"on_limit_exceeded": {
	"action": "reduced_priority",
}}}})

# What is denied where candidates were passed over for these, and of the first one's limits some are short.
denied_for(settings, closed, short) := decision if {
	outcome := {
		"granted": false,
		"candidate": null,
		"closed": [{"candidate": pair[0], "gate": pair[1]} | some pair in closed],
		"limits": [{"id": id, "granted": not_short} |
			some id in ["tenant:acme:tokens", "user:alice:tokens:day", "provider:main:requests"]
			not_short := {true: false, false: true}[id in short]
		],
	}
	request := {"tenant_id": "acme", "user_id": "alice", "outcome": outcome}
	decision := answers.denied with input as request with data.config as settings
}

test_a_cooldown_is_429_and_says_when_to_come_back if {
	decision := denied_for(config, [["lab/large", "cooldown:lab/large"]], set())
	decision.allow == false
	decision.reason == "provider_unavailable"
	decision.status == 429
	decision.message == concat(" ", [
		"lab/large cools down after a rate limit.",
		"Try again in {available_in}, at {available_at}.",
	])
	not decision.about
}

test_a_limit_that_is_shared_is_429_and_tells_its_numbers if {
	limit := "provider:main:requests"
	decision := denied_for(config, [["lab/large", concat(":", ["limit", limit])]], {limit})
	decision.reason == "provider_unavailable"
	decision.status == 429
	decision.about == [limit]
	startswith(decision.message, "lab/large is at its provider's limit of requests a minute. Try again in")
}

test_an_open_circuit_is_503_and_one_of_several_that_cools_down_429 if {
	circuit := ["lab/large", "circuit:lab/large"]
	denied_for(config, [circuit], set()).status == 503
	contains(denied_for(config, [circuit], set()).message, "{available_at}")
	denied_for(config, [circuit, ["lab/small", "cooldown:lab/small"]], set()).status == 429
}

test_where_waiting_does_not_help_no_time_is_told if {
	failed := denied_for(
		config, [
			["lab/large", "failed:authentication"],
			["lab/small", "on:authentication"],
		],
		set(),
	)
	failed.reason == "provider_unavailable"
	failed.status == 503
	failed.message == concat("", [
		"lab/large has failed in this run (a refused key); ",
		"lab/small does not stand in after a refused key.",
	])

	tried := denied_for(config, [["lab/large", "attempts"], ["lab/large", "cooldown:lab/large"]], set())
	tried.status == 503
	tried.message == concat("", [
		"lab/large may not be tried again, as this run has made all its attempts ",
		"and cools down after a rate limit.",
	])
}

test_what_is_short_of_the_tenants_own_is_told_first if {
	cooldown := ["lab/large", "cooldown:lab/large"]
	denied_for(config, [cooldown], {"user:alice:tokens:day"}).reason == "budget_exceeded"
	bucket := denied_for(config, [cooldown], {"tenant:acme:tokens"})
	bucket.reason == "rate_limited"
	bucket.about == ["tenant:acme:tokens"]
	denied_for(config, [["lab/large", "budget:tenant:acme:tokens"]], {"tenant:acme:tokens"}).reason == "rate_limited"
}

test_what_only_reduces_does_not_stop_where_the_cheaper_model_is_out if {
	decision := denied_for(
		reducing, [
			["lab/large", "budget:user:alice:tokens:day"],
			["lab/cheap", "cooldown:lab/cheap"],
		],
		{"user:alice:tokens:day"},
	)
	decision.reason == "provider_unavailable"
	startswith(decision.message, "lab/large needs more than is left of a budget or an allowance; lab/cheap cools down")
}

test_an_outcome_that_is_none_is_denied if {
	every outcome in [null, {}, {"granted": "true"}, {"granted": null}, true] {
		decision := answers.denied with input as {"tenant_id": "acme", "outcome": outcome} with data.config as config
		decision.reason == "policy_error"
	}
	unasked := answers.denied with input as {"tenant_id": "acme"} with data.config as config
	unasked.status == 500
}

test_requests_that_are_too_many_are_told_in_their_own_words if {
	outcome := {"granted": false, "limits": [
		{"id": "user:alice:requests:day", "granted": false},
		{"id": "provider:main:requests", "granted": false},
	]}
	decision := answers.denied with input as {"user_id": "alice", "outcome": outcome} with data.config as config
	decision.reason == "rate_limited"
	contains(decision.message, "{tokens_limit} requests")
	decision.about == ["user:alice:requests:day"]
}

# Taken, and the user's day so.
taken(over) := {"tenant_id": "acme", "user_id": "alice", "outcome": {"granted": true, "limits": [
	{"id": "tenant:acme:tokens", "granted": true, "over": false, "crossed": []},
	{"id": "user:alice:tokens:day", "granted": true, "over": over, "crossed": []},
]}}

soft := object.union(config, {"budgets": {"per_user_budgets": {"on_limit_exceeded": {
	"action": "soft_limit",
	"soft_limit": {"message": "soft", "notify_admin": true},
}}}})

test_what_only_tells_is_told_beyond_its_end if {
	within := answers.beyond with input as taken(false) with data.config as soft
	count(within) == 0
	beyond := answers.beyond with input as taken(true) with data.config as soft
	beyond == {"reason": "over_soft_limit", "message": "soft"}
	reduced := answers.beyond with input as taken(true) with data.config as reducing
	reduced == {"reason": "over_soft_limit", "message": "cheaper"}
}

test_the_cheaper_model_is_in_for_a_budget_or_the_bucket if {
	budget := answers.to_cheaper with input as taken(true) with data.config as reducing
	budget.message == "cheaper"
	budget.obligations.force_model == "lab/cheap"
	bucket := answers.to_cheaper with input as taken(false) with data.config as reducing
	startswith(bucket.message, "Too little is left")
	bucket.about == ["tenant:acme:tokens"]

	# Of money it may need no more than there is.
	money := object.union(reducing, {"budgets": {"tenant_budgets": {"acme": {"usd": 5}}}})
	spent := answers.to_cheaper with input as taken(false) with data.config as money
	spent.message == "cheaper"
}

test_the_users_own_are_known_from_the_others if {
	own := answers.of_user with input as taken(false) with data.config as config
	own == ["user:alice:tokens:day"]
}
