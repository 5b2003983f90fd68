# METADATA
# schemas:
#   - data.openclaw.routing.plan: schema.plan
#   - data.openclaw.routing.decision: schema.decision
package openclaw.routing_test

import data.openclaw.routing

config := {
	"tenants": {
		"defaults": {"capacity": 10000, "refill": "daily", "price_per_token": "0.0001"},
		"unknown_tenants": "default",
		"tenants": {"acme": {}},
	},
	"models": {"models": {"lab/large": {"weight": 20, "aliases": []}}},
	"budgets": {
		"per_user_budgets": {
			"enabled": true,
			"default_limits": {"daily_tokens": 1000},
			"user_overrides": {},
			"role_limits": {},
			"reset_schedule": {"daily_reset_time": "00:00", "monthly_reset_day": 1, "timezone": "UTC"},
			"rollover": {"enabled": false, "max_rollover_tokens": 0},
			"warnings": [{"at_percent": 75, "message": "three quarters"}],
			"on_approaching_limit": {"action": "none", "message_template": ""},
			"include_budget_in_response": true,
			"budget_footer": "{tokens_used}",
			"on_limit_exceeded": {
				"action": "soft_limit",
				"soft_limit": {"message": "Soft.", "notify_admin": true},
				"hard_stop": {"message": "Hard.", "status_code": 429},
				"reduced_priority": {"force_model": "lab/cheap", "message": "Cheaper."},
			},
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
		"accounts": {
			"main": {"provider": "lab", "per": "account", "limits": {"requests_per_minute": 50, "timezone": "UTC"}},
			"forge": {"provider": "forge", "per": "account", "limits": {"tokens_per_minute": 900, "timezone": "UTC"}},
		},
		"account_of_model": {},
		"account_of_prefix": [],
		"account_of_provider": {"lab": "main", "forge": "forge"},
		"id_of_alias": {},
		"chains": {"lab/large": {
			"models": ["lab/small", "forge/medium"],
			"on": ["rate_limit", "timeout"],
			"max_attempts": 3,
		}},
		"rules": [],
	},
}

alice := {"tenant_id": "acme", "user_id": "alice", "model": "lab/large", "input_tokens": 50}

# On the usual configuration with some of it changed.
plan_of(changed, request) := plan if {
	plan := routing.plan with input as request with data.config as object.union(config, changed)
}

models_of(plan) := [candidate.model | some candidate in plan.candidates]

reasons_of(plan) := [object.get(candidate, "on", "any") | some candidate in plan.candidates]

with_rules(rules) := {"providers": {"rules": rules}}

reducing := {"budgets": {"per_user_budgets": {"on_limit_exceeded": {"action": "reduced_priority"}}}}

test_the_model_asked_for_comes_first_and_then_its_chain if {
	plan := plan_of({}, alice)
	models_of(plan) == ["lab/large", "lab/small", "forge/medium"]
	reasons_of(plan) == ["any", ["rate_limit", "timeout"], ["rate_limit", "timeout"]]
	plan.max_attempts == 3
}

test_each_candidate_has_all_its_limits_and_gates if {
	[large, small, medium] := plan_of({}, alice).candidates
	[limit.id | some limit in large.limits] == [
		"tenant:acme:tokens",
		"user:alice:tokens:day",
		"provider:main:requests",
	]
	[limit.id | some limit in medium.limits] == [
		"tenant:acme:tokens",
		"user:alice:tokens:day",
		"provider:forge:tokens",
	]
	[large.limits[0].cost, small.limits[0].cost] == [20, 1]
	[large.scope, small.scope, medium.scope] == ["shared:main", "shared:main", "shared:forge"]
	small.gates == ["cooldown:lab/small", "circuit:lab/small"]
}

test_without_a_chain_there_is_one_candidate_and_attempts_are_not_counted if {
	plan := plan_of({}, object.union(alice, {"model": "lab/small"}))
	models_of(plan) == ["lab/small"]
	not plan.max_attempts
	models_of(plan_of({}, {"tenant_id": "acme"})) == ["default"]
	not plan_of({}, {"tenant_id": "acme"}).candidates[0].gates
}

test_who_is_not_served_is_refused if {
	plan_of({}, {}).refuse.reason == "unknown_tenant"
	not plan_of({}, {}).candidates
}

test_a_configuration_without_providers_has_the_model_asked_for if {
	request := {"tenant_id": "acme", "model": "lab/large"}
	plan := routing.plan with input as request with data.config as json.remove(config, ["providers"])
	models_of(plan) == ["lab/large"]
	[limit.id | some limit in plan.candidates[0].limits] == ["tenant:acme:tokens"]
}

short_and_simple := {"when": {"input_tokens_below": 100, "task_classes": ["chat"]}, "model": "forge/micro"}

test_the_first_rule_that_applies_says_the_model if {
	rules := with_rules([
		short_and_simple,
		{"when": {"input_tokens_from": 1000}, "model": "lab/long"},
		{"when": {"roles": ["viewer"]}, "model": "lab/small"},
	])
	first := {name: models_of(plan_of(rules, object.union(alice, request)))[0] |
		some name, request in {
			"short chat": {"task_class": "chat"},
			"short chat of a viewer": {"task_class": "chat", "role": "viewer"},
			"not below": {"task_class": "chat", "input_tokens": 100},
			"just below, by its characters": {"task_class": "chat", "input_tokens": null, "prompt_chars": 396},
			"not below, by its characters": {"task_class": "chat", "input_tokens": null, "prompt_chars": 397},
			"no class": {},
			"of no text": {"task_class": ["chat"]},
			"long": {"input_tokens": 1000},
			"viewer": {"role": "viewer"},
			"nothing said of its length": {"task_class": "chat", "input_tokens": null},
		}
	}
	first == {
		"short chat": "forge/micro",
		"short chat of a viewer": "forge/micro",
		"not below": "lab/large",
		"just below, by its characters": "forge/micro",
		"not below, by its characters": "lab/large",
		"no class": "lab/large",
		"of no text": "lab/large",
		"long": "lab/long",
		"viewer": "lab/small",
		"nothing said of its length": "lab/large",
	}
}

test_a_rule_without_conditions_always_applies_and_its_models_chain_counts if {
	plan := plan_of(with_rules([{"when": {}, "model": "lab/large"}]), {"tenant_id": "acme", "model": "lab/small"})
	models_of(plan) == ["lab/large", "lab/small", "forge/medium"]
}

test_the_cheaper_model_comes_last_for_budgets_and_for_the_reasons_of_the_chain if {
	plan := plan_of(reducing, alice)
	models_of(plan) == ["lab/large", "lab/small", "forge/medium", "lab/cheap"]
	plan.candidates[3].on == ["rate_limit", "timeout", "budget"]
	[candidate.limits[1].on_exceed | some candidate in plan.candidates] == ["deny", "deny", "deny", "flag"]
	alone := plan_of(reducing, object.union(alice, {"model": "lab/other"}))
	reasons_of(alone) == ["any", ["budget"]]
}

test_a_cheaper_model_of_the_chain_keeps_its_place if {
	in_chain := object.union(reducing, {"providers": {"chains": {"lab/large": {"models": ["lab/cheap", "forge/medium"]}}}})
	plan := plan_of(in_chain, alice)
	models_of(plan) == ["lab/large", "lab/cheap", "forge/medium"]
	[candidate.limits[1].on_exceed | some candidate in plan.candidates] == ["deny", "flag", "deny"]
	reasons_of(plan) == ["any", ["rate_limit", "timeout", "budget"], ["rate_limit", "timeout"]]
}

from(percent, model) := {"when": {"budget_used_percent_from": percent}, "model": model}

# What each candidate may use of the user's day, and whether it is refused beyond.
shares_of(plan) := [[limit.capacity, limit.on_exceed] |
	some candidate in plan.candidates
	some limit in candidate.limits
	limit.id == "routing:alice:tokens:day"
]

test_a_rule_by_budget_is_a_candidate_for_when_so_much_is_used if {
	plan := plan_of(with_rules([from(80, "lab/cheap")]), object.union(alice, {"model": "lab/other"}))
	models_of(plan) == ["lab/other", "lab/cheap"]
	reasons_of(plan) == ["any", ["budget"]]
	shares_of(plan) == [[800, "deny"], [800, "flag"]]
	every candidate in plan.candidates {
		candidate.limits[1].id == "user:alice:tokens:day"
		candidate.limits[1].capacity == 1000
	}
	some share in plan.candidates[0].limits
	share == {
		"id": "routing:alice:tokens:day",
		"subject": {"type": "routing", "id": "alice"},
		"unit": "tokens",
		"kind": "window",
		"capacity": 800,
		"cost": 150,
		"settles": true,
		"billed": false,
		"window": {"period": "day", "reset_time": "00:00", "timezone": "UTC"},
		"on_exceed": "deny",
	}
}

test_what_stands_in_may_use_no_more_than_the_model_it_stands_in_for if {
	plan := plan_of(with_rules([from(80, "lab/cheap")]), alice)
	models_of(plan) == ["lab/large", "lab/small", "forge/medium", "lab/cheap"]
	shares_of(plan) == [[800, "deny"], [800, "deny"], [800, "deny"], [800, "flag"]]
}

test_several_rules_by_budget_take_their_turn if {
	rules := with_rules([from(90, "lab/tiny"), from(50, "lab/cheap"), from(95, "lab/never")])
	plan := plan_of(rules, object.union(alice, {"model": "lab/other"}))
	models_of(plan) == ["lab/other", "lab/cheap", "lab/tiny"]
	shares_of(plan) == [[500, "deny"], [900, "deny"], [500, "flag"]]
}

test_a_rule_by_budget_goes_by_all_its_conditions_and_before_those_that_come_after_it if {
	viewers := {"when": {"budget_used_percent_from": 80, "roles": ["viewer"]}, "model": "lab/cheap"}
	rules := [viewers, short_and_simple, from(60, "lab/late")]
	chat := object.union(alice, {"task_class": "chat"})
	models_of(plan_of(with_rules(rules), chat)) == ["forge/micro"]
	models_of(plan_of(with_rules(rules), object.union(chat, {"role": "viewer"}))) == ["forge/micro", "lab/cheap"]

	# Without a daily budget nothing is used of it.
	models_of(plan_of(with_rules([from(80, "lab/cheap")]), {"tenant_id": "acme", "model": "lab/other"})) == ["lab/other"]
}

test_who_asks_for_the_model_of_such_a_rule_may_use_the_whole_budget if {
	plan := plan_of(with_rules([from(80, "lab/cheap")]), object.union(alice, {"model": "lab/cheap"}))
	models_of(plan) == ["lab/cheap"]
	shares_of(plan) == [[800, "flag"]]
}

test_what_no_such_rule_is_about_is_counted_for_it_too if {
	rules := with_rules([{"when": {"budget_used_percent_from": 80, "roles": ["viewer"]}, "model": "lab/cheap"}])
	shares_of(plan_of(rules, object.union(alice, {"model": "lab/other"}))) == [[800, "flag"]]
}

test_a_plan_never_has_too_many_candidates if {
	longest := {"models": ["a", "b", "c", "d", "e", "f"], "on": ["timeout"], "max_attempts": 7}
	rules := [from(90 - i, concat("", ["g/", format_int(i, 10)])) | some i in numbers.range(0, 7)]
	most := object.union_n([reducing, with_rules(rules), {"providers": {"chains": {"lab/large": longest}}}])
	count(plan_of(most, alice).candidates) == 16
}

# What is decided when the model was chosen and others were passed over for these.
decided(changed, request, chosen, closed) := decision if {
	outcome := {
		"granted": true,
		"candidate": chosen,
		"closed": [{"candidate": pair[0], "gate": pair[1]} | some pair in closed],
		"limits": [
			{"id": "tenant:acme:tokens", "granted": true, "over": false, "crossed": [], "on_exceed": "deny"},
			{"id": "provider:main:requests", "granted": true, "over": false, "crossed": [], "on_exceed": "deny"},
		],
	}
	decision := decision_on(changed, request, outcome)
}

decision_on(changed, request, outcome) := decision if {
	asked := object.union(request, {"outcome": outcome})
	decision := routing.decision with input as asked with data.config as object.union(config, changed)
}

test_the_model_asked_for_is_allowed_and_no_word_said if {
	decision := decided({}, alice, "lab/large", [])
	decision.allow == true
	decision.reason == "ok"
	decision.message == ""
	count(decision.obligations) == 0
	decision.about == ["tenant:acme:tokens"]
	nameless := decided({}, {"tenant_id": "acme"}, "default", [])
	count(nameless.obligations) == 0
}

test_what_stands_in_is_forced_and_the_message_says_why if {
	decision := decided({}, alice, "forge/medium", [
		["lab/large", "cooldown:lab/large"],
		["lab/small", "limit:provider:main:requests"],
	])
	decision.allow == true
	decision.reason == "ok"
	decision.obligations.force_model == "forge/medium"
	decision.message == concat("; ", [
		"lab/large cools down after a rate limit",
		"lab/small is at its provider's limit of requests a minute",
		"routed to forge/medium.",
	])
}

test_the_model_of_a_rule_is_forced_also_where_none_was_asked_for if {
	rules := with_rules([{"when": {}, "model": "lab/small"}])
	every request in [alice, {"tenant_id": "acme"}] {
		decision := decided(rules, request, "lab/small", [])
		decision.reason == "ok"
		decision.message == "Routed to lab/small, as a rule says."
		decision.obligations.force_model == "lab/small"
	}
	same := decided(rules, object.union(alice, {"model": "lab/small"}), "lab/small", [])
	same.message == ""
	count(same.obligations) == 0
}

test_where_the_rule_is_out_the_model_asked_for_may_stand_in if {
	rules := with_rules([{"when": {}, "model": "lab/large"}])
	request := object.union(alice, {"model": "lab/small"})
	decision := decided(rules, request, "lab/small", [["lab/large", "circuit:lab/large"]])
	decision.reason == "ok"
	count(decision.obligations) == 0
}

test_a_rule_by_budget_routes_to_what_is_cheaper if {
	rules := with_rules([from(90, "lab/tiny"), from(50, "lab/cheap")])
	request := object.union(alice, {"model": "lab/other"})
	beyond := [["lab/other", "budget:routing:alice:tokens:day"]]
	decision := decided(rules, request, "lab/cheap", beyond)
	decision.reason == "routed_cheaper"
	decision.message == "50 % of the daily budget are used; routed to lab/cheap."
	decision.obligations.force_model == "lab/cheap"

	later := decided(rules, request, "lab/tiny", array.concat(beyond, [["lab/cheap", "budget:routing:alice:tokens:day"]]))
	later.message == "90 % of the daily budget are used; routed to lab/tiny."

	# In its chain it stands in for another reason as well.
	instead := decided(rules, request, "lab/cheap", [["lab/other", "failed:timeout"]])
	instead.reason == "ok"
	instead.message == "lab/other has failed in this run (a time-out); routed to lab/cheap."

	# Who asks for it to begin with.
	asked := decided(rules, object.union(alice, {"model": "lab/cheap"}), "lab/cheap", [])
	count(asked.obligations) == 0

	# Or for it in place of the model of another rule.
	ruled := with_rules([from(50, "lab/cheap"), {"when": {}, "model": "lab/other"}])
	back := decided(ruled, object.union(alice, {"model": "lab/cheap"}), "lab/cheap", beyond)
	back.reason == "routed_cheaper"
	count(back.obligations) == 0
}

over_the_day(chosen, closed) := {
	"granted": true,
	"candidate": chosen,
	"closed": closed,
	"limits": [
		{"id": "user:alice:tokens:day", "granted": true, "over": true, "crossed": [], "on_exceed": "flag"},
		{"id": "routing:alice:tokens:day", "granted": true, "over": true, "crossed": [], "on_exceed": "flag"},
	],
}

test_beyond_a_budget_the_cheaper_model_is_told_of_as_ever if {
	closed := [{"candidate": "lab/large", "gate": "budget:user:alice:tokens:day"}]
	decision := decision_on(reducing, alice, over_the_day("lab/cheap", closed))
	decision.reason == "routed_cheaper"
	decision.message == "Cheaper."
	decision.obligations.force_model == "lab/cheap"
	decision.about == ["user:alice:tokens:day"]

	bucket := decided(reducing, alice, "lab/cheap", [["lab/large", "budget:tenant:acme:tokens"]])
	bucket.reason == "routed_cheaper"
	startswith(bucket.message, "Too little is left of the {period} allowance")

	# In for a model that its provider refuses.
	outage := decided(reducing, alice, "lab/cheap", [["lab/large", "circuit:lab/large"]])
	outage.reason == "ok"
	outage.message == "lab/large has failed too often and is left alone for a while; routed to lab/cheap."
}

test_a_soft_limit_is_told_beside_the_model if {
	closed := [{"candidate": "lab/large", "gate": "cooldown:lab/large"}]
	decision := decision_on({}, alice, over_the_day("lab/small", closed))
	decision.reason == "over_soft_limit"
	decision.message == "lab/large cools down after a rate limit; routed to lab/small. Soft."
	decision.obligations.force_model == "lab/small"
	asked := decision_on({}, alice, over_the_day("lab/large", []))
	asked.reason == "over_soft_limit"
	asked.message == "Soft."
}

test_what_was_refused_or_not_asked_is_denied if {
	closed := [{"candidate": "lab/large", "gate": "cooldown:lab/large"}]
	outcome := {"granted": false, "candidate": null, "closed": closed, "limits": []}
	decision_on({}, alice, outcome).reason == "provider_unavailable"
	decision_on({}, alice, null).reason == "policy_error"
	request := object.union(alice, {"outcome": outcome})
	routing.allow == false with input as request with data.config as config
	granted := object.union(alice, {"outcome": over_the_day("lab/large", [])})
	routing.allow == true with input as granted with data.config as config
}
