package lib.requests_test

import data.lib.requests

config := {
	"tenants": {
		"defaults": {"capacity": 10, "refill": "daily"},
		"unknown_tenants": "default",
		"tenants": {"acme": {}},
	},
	"models": {"models": {"lab/large": {"weight": 20, "aliases": []}}},
	"budgets": {
		"per_user_budgets": {
			"enabled": true,
			"default_limits": {"daily_tokens": 1001, "monthly_tokens": 5000},
			"user_overrides": {},
			"role_limits": {},
			"reset_schedule": {"daily_reset_time": "02:00", "monthly_reset_day": 1, "timezone": "UTC"},
			"rollover": {"enabled": false, "max_rollover_tokens": 0},
			"warnings": [{"at_percent": 75, "message": "75"}],
			"on_limit_exceeded": {"action": "soft_limit"},
			"expected_output_tokens": 100,
		},
		"department_budgets": {},
		"project_budgets": {},
		"team_budgets": {},
		"tenant_budgets": {},
	},
	"authentication": {"require_user": false},
	"teams": {"tiers": {}, "timezone": "UTC", "teams": {}},
	"users": {},
	"providers": {
		"accounts": {"main": {"provider": "lab", "per": "account", "limits": {
			"tokens_per_minute": 1000,
			"input_tokens_per_minute": 1000,
			"output_tokens_per_minute": 1000,
			"timezone": "UTC",
		}}},
		"account_of_model": {},
		"account_of_prefix": [],
		"account_of_provider": {"lab": "main"},
		"id_of_alias": {},
		"chains": {},
		"rules": [
			{"when": {"roles": ["viewer"]}, "model": "lab/small"},
			{"when": {"budget_used_percent_from": 90}, "model": "lab/small"},
			{"when": {"budget_used_percent_from": 70}, "model": "lab/small"},
		],
	},
}

alice := {"tenant_id": "acme", "user_id": "alice", "model": "lab/large"}

candidate_for(request, share) := candidate if {
	candidate := requests.candidate("lab/large", "lab/large", share) with input as request with data.config as config
}

costs(request) := {limit.id: limit.cost | some limit in candidate_for(request, null).limits}

test_a_provider_is_asked_for_the_prompt_the_most_of_the_answer_and_the_budgets_estimate if {
	said := costs(object.union(alice, {"prompt_chars": 401, "max_output_tokens": 30}))
	said["provider:main:tokens"] == 131
	said["provider:main:input_tokens"] == 101
	said["provider:main:output_tokens"] == 30

	# Of an answer of unknown length the budgets expect something, and the provider counts what there was.
	unsaid := costs(object.union(alice, {"input_tokens": 7}))
	unsaid["provider:main:tokens"] == 107
	unsaid["provider:main:output_tokens"] == 0
}

test_a_share_is_counted_without_stopping_anybody_unless_it_is_said if {
	share := requests.share with data.config as config
	share == {"percent": 70, "on_exceed": "flag"}
	[limit] := [limit | some limit in candidate_for(alice, share).limits; limit.id == "routing:alice:tokens:day"]
	limit.capacity == 700
	limit.on_exceed == "flag"
	limit.window == {"period": "day", "reset_time": "02:00", "timezone": "UTC"}
	every other in candidate_for({"tenant_id": "acme"}, share).limits {
		other.subject.type != "routing"
	}
}

test_without_rules_by_budget_no_share_is_counted if {
	share := requests.share with data.config as json.remove(config, ["providers"])
	is_null(share)
	not costs(alice)["routing:alice:tokens:day"]
}

test_the_length_of_a_prompt_is_known_or_not if {
	every case in [[{"input_tokens": 3, "prompt_chars": 40}, 3], [{"prompt_chars": 41}, 11], [{"prompt_chars": 0}, 0]] {
		tokens := requests.prompt_tokens with input as case[0]
		tokens == case[1]
	}
	not requests.prompt_tokens with input as {"max_output_tokens": 5, "estimated_tokens": 9}
}

refusal_of(request, changed) := refusal if {
	refusal := requests.refusal with input as request with data.config as object.union(config, changed)
}

test_who_names_no_tenant_is_refused if {
	long := concat("", [letter | some _ in numbers.range(1, 257); letter := "x"])
	every tenant in ["", null, 7, ["acme"], long] {
		refusal_of({"tenant_id": tenant}, {}).message == "The request names no tenant."
	}
	not refusal_of({"tenant_id": "umbrella"}, {})
}

test_an_unknown_tenant_is_refused_where_only_known_ones_are_served if {
	closed := {"tenants": {"unknown_tenants": "deny"}}
	refusal_of({"tenant_id": "umbrella"}, closed).reason == "unknown_tenant"
	not refusal_of({"tenant_id": "acme"}, closed)
}

test_who_names_no_user_is_refused_where_one_is_required if {
	required := {"authentication": {"require_user": true}}
	every user in ["", null, 7] {
		refusal_of({"tenant_id": "acme", "user_id": user}, required).reason == "unidentified"
	}
	not refusal_of(alice, required)
	both := object.union(required, {"tenants": {"unknown_tenants": "deny"}})
	refusal_of({"tenant_id": "acme"}, both).reason == "unidentified"
}

test_a_candidate_has_a_name_whatever_was_asked_for if {
	every asked in ["", null, 7] {
		called := requests.name with input as {"model": asked}
		called == "default"
	}
	name := requests.name with input as alice
	name == "lab/large"
}

test_the_cheaper_model_alone_may_exceed_what_only_reduces if {
	reducing := object.union(config, {"budgets": {"per_user_budgets": {"on_limit_exceeded": {
		"action": "reduced_priority",
		"reduced_priority": {"force_model": "lab/cheap", "message": ""},
	}}}})
	exceeds := {model: limit.on_exceed |
		some model in ["lab/large", "lab/cheap"]
		candidate := requests.candidate(model, model, null) with input as alice with data.config as reducing
		some limit in candidate.limits
		limit.id == "user:alice:tokens:day"
	}
	exceeds == {"lab/large": "deny", "lab/cheap": "flag"}
}

test_what_stands_in_is_found_by_the_model if {
	chains := {"providers": {"chains": {"lab/large": {"models": ["lab/small"], "on": ["timeout"], "max_attempts": 2}}}}
	chain := requests.chain("lab/large") with data.config as object.union(config, chains)
	chain.models == ["lab/small"]
}

test_a_daily_budget_is_the_users_own if {
	requests.has_daily_budget with input as alice with data.config as config
	not requests.has_daily_budget with input as {"tenant_id": "acme"} with data.config as config
}
