# METADATA
# schemas:
#   - data.openclaw.rate_limit.plan: schema.plan
#   - data.openclaw.rate_limit.decision: schema.decision
package openclaw.rate_limit_test

import data.openclaw.rate_limit

config := {
	"tenants": {
		"defaults": {"capacity": 10000, "refill": "daily", "price_per_token": "0.0001"},
		"unknown_tenants": "default",
		"tenants": {"acme": {}, "globex": {"capacity": 50000}, "initech": {"refill": "hourly", "capacity": 0}},
	},
	"models": {"models": {"lab/large": {"weight": 20, "aliases": ["large"]}}},
	"budgets": budgets(false, {"action": "hard_stop"}),
	"authentication": {"require_user": false},
	"teams": {"tiers": {"standard": {"requests_per_minute": 30}}, "timezone": "UTC", "teams": {}},
	"users": {"erin": {"tier": "standard"}},
}

budgets(enabled, exceeded) := {
	"per_user_budgets": {
		"enabled": enabled,
		"default_limits": {"daily_tokens": 1000},
		"user_overrides": {},
		"role_limits": {},
		"reset_schedule": {"daily_reset_time": "00:00", "monthly_reset_day": 1, "timezone": "UTC"},
		"rollover": {"enabled": false, "max_rollover_tokens": 0},
		"warnings": [{"at_percent": 75, "message": "three quarters"}, {"at_percent": 90, "message": "nearly all"}],
		"on_approaching_limit": {"action": "warn", "message_template": "{percent_used}%"},
		"include_budget_in_response": true,
		"budget_footer": "{tokens_used}",
		"on_limit_exceeded": object.union(
			{
				"soft_limit": {"message": "soft", "notify_admin": true},
				"hard_stop": {"message": "hard", "status_code": 429},
				"reduced_priority": {"force_model": "lab/small", "message": "cheaper"},
			},
			exceeded,
		),
		"expected_output_tokens": 100,
	},
	"department_budgets": {},
	"project_budgets": {},
	"team_budgets": {},
	"tenant_budgets": {},
}

budgeted(exceeded) := object.union(config, {"budgets": budgets(true, exceeded)})

closed := object.union(config, {"tenants": {"unknown_tenants": "deny"}})

plan_for(request) := plan if plan := rate_limit.plan with input as request with data.config as config

limit_for(request) := limit if {
	plan := plan_for(request)
	object.keys(plan) == {"limits"}
	count(plan.limits) == 1
	limit := plan.limits[0]
}

refusal_of(plan) := plan.refuse if object.keys(plan) == {"refuse"}

decision_on(outcome) := decision if {
	decision := rate_limit.decision with input as {"tenant_id": "acme", "outcome": outcome} with data.config as config
}

allowed_on(outcome) := allowed if {
	allowed := rate_limit.allow with input as {"tenant_id": "acme", "outcome": outcome} with data.config as config
}

test_a_request_draws_on_the_bucket_of_its_tenant_which_is_billed if {
	limit_for({"tenant_id": "acme"}) == {
		"id": "tenant:acme:tokens",
		"subject": {"type": "tenant", "id": "acme"},
		"unit": "tokens",
		"kind": "token_bucket",
		"capacity": 10000,
		"cost": 1,
		"settles": false,
		"billed": true,
		"refill": {"amount": 10000, "per_seconds": 86400, "mode": "interval"},
		"on_exceed": "deny",
	}
}

test_a_tenants_own_settings_replace_the_defaults if {
	globex := limit_for({"tenant_id": "globex"})
	globex.capacity == 50000
	globex.refill == {"amount": 50000, "per_seconds": 86400, "mode": "interval"}

	initech := limit_for({"tenant_id": "initech"})
	initech.capacity == 0
	initech.refill == {"amount": 1, "per_seconds": 3600, "mode": "interval"}
}

test_a_request_costs_what_its_model_weighs if {
	limit_for({"tenant_id": "acme", "model": "lab/large"}).cost == 20
	limit_for({"tenant_id": "acme", "model": "large"}).cost == 20
	limit_for({"tenant_id": "acme", "model": "lab/unheard-of"}).cost == 1
	limit_for({"tenant_id": "acme", "model": null}).cost == 1
}

test_an_unknown_tenant_gets_the_defaults_or_is_refused if {
	limit_for({"tenant_id": "umbrella"}).capacity == 10000

	plan := rate_limit.plan with input as {"tenant_id": "umbrella"} with data.config as closed
	refusal_of(plan) == {"reason": "unknown_tenant", "status": 403, "message": "This tenant is not known."}

	known := rate_limit.plan with input as {"tenant_id": "acme"} with data.config as closed
	object.keys(known) == {"limits"}
}

test_a_request_that_names_no_tenant_is_refused if {
	refused := {"reason": "unknown_tenant", "status": 403, "message": "The request names no tenant."}
	every tenant in ["", null, false, 7, ["acme"], {"acme": 1}] {
		refusal_of(plan_for({"tenant_id": tenant})) == refused
	}
	refusal_of(plan_for({})) == refused
	refusal_of(plan_for("acme")) == refused
}

test_a_name_may_be_as_long_as_fits_into_a_plan if {
	fits := concat("", [letter | some _ in numbers.range(1, 256); letter := "ü"])
	limit_for({"tenant_id": fits}).subject.id == fits
	object.keys(plan_for({"tenant_id": concat("", [fits, "x"])})) == {"refuse"}
}

test_without_configuration_there_is_no_plan if {
	not rate_limit.plan with input as {"tenant_id": "acme"}
}

test_what_was_granted_is_allowed if {
	decision := decision_on({"granted": true})
	decision.allow == true
	decision.reason == "ok"
	decision.status == 200
	decision.message == ""
	allowed_on({"granted": true}) == true
}

test_what_was_refused_is_denied_with_the_numbers_left_to_be_filled_in if {
	decision := decision_on({"granted": false})
	decision.allow == false
	decision.reason == "rate_limited"
	decision.status == 429
	every placeholder in ["{tokens_remaining}", "{tokens_limit}", "{period}", "{reset_time}"] {
		contains(decision.message, placeholder)
	}
	allowed_on({"granted": false}) == false
}

test_an_outcome_that_is_none_is_denied if {
	every outcome in [null, {}, {"granted": "true"}, {"granted": 1}, {"granted": null}, true] {
		decision_on(outcome).reason == "policy_error"
		allowed_on(outcome) == false
	}
	rate_limit.allow == false with input as {"tenant_id": "acme"}
	rate_limit.decision.allow == false with input as {"tenant_id": "acme"}
}

alice := {"tenant_id": "acme", "user_id": "alice", "model": "lab/large", "input_tokens": 50}

day := "user:alice:tokens:day"

plan_by(exceeded, request) := plan if {
	plan := rate_limit.plan with input as request with data.config as budgeted(exceeded)
}

# What is decided on an outcome of the user's day.
decision_by(exceeded, outcome) := decision if {
	request := object.union(alice, {"outcome": outcome})
	decision := rate_limit.decision with input as request with data.config as budgeted(exceeded)
}

granted(more) := {"granted": true, "candidate": null, "limits": [object.union(
	{"id": day, "granted": true, "over": false, "crossed": [], "on_exceed": "flag"},
	more,
)]}

budget_of(limits) := [limit.on_exceed | some limit in limits; limit.id == day]

test_a_user_draws_on_the_budget_too if {
	plan := plan_by({"action": "hard_stop"}, alice)
	[limit.id | some limit in plan.limits] == ["tenant:acme:tokens", day]
	plan.limits[1].cost == 150
	budget_of(plan.limits) == ["deny"]
	budget_of(plan_by({"action": "soft_limit"}, alice).limits) == ["flag"]
	count(plan_by({"action": "hard_stop"}, {"tenant_id": "acme"}).limits) == 1
}

test_a_cheaper_model_is_the_second_candidate if {
	plan := plan_by({"action": "reduced_priority"}, alice)
	[candidate.model | some candidate in plan.candidates] == ["lab/large", "lab/small"]
	[budget_of(candidate.limits) | some candidate in plan.candidates] == [["deny"], ["flag"]]
	[candidate.limits[0].cost | some candidate in plan.candidates] == [20, 1]
	not plan.limits
}

test_a_request_for_the_cheaper_model_has_no_other if {
	plan := plan_by({"action": "reduced_priority"}, object.union(alice, {"model": "lab/small"}))
	budget_of(plan.limits) == ["flag"]
	not plan.candidates
}

test_a_request_for_no_model_can_be_told_one if {
	every model in ["", null, 7] {
		plan := plan_by({"action": "reduced_priority"}, object.union(alice, {"model": model}))
		[candidate.model | some candidate in plan.candidates] == ["default", "lab/small"]
	}
}

test_what_has_room_is_allowed_with_a_footer if {
	decision := decision_by({"action": "hard_stop"}, granted({}))
	decision.reason == "ok"
	decision.warnings == []
	object.keys(decision.obligations) == {"footer"}
	decision.obligations.footer == "{tokens_used}"
	decision.about == [day]
}

test_a_threshold_is_told_to_the_user_and_the_admin if {
	decision := decision_by({"action": "soft_limit"}, granted({"crossed": [75, 90]}))
	decision.warnings == ["nearly all", "{percent_used}%"]
	[notice.percent | some notice in decision.obligations.notify] == [75, 90]
}

test_that_a_budget_is_used_up_is_told_to_the_admin_unless_a_soft_limit_says_otherwise if {
	told := decision_by({"action": "soft_limit"}, granted({"crossed": [100]}))
	told.warnings == []
	[notice.percent | some notice in told.obligations.notify] == [100]

	quiet := decision_by(
		{"action": "soft_limit", "soft_limit": {"message": "soft", "notify_admin": false}},
		granted({"crossed": [100]}),
	)
	not quiet.obligations.notify

	hard := decision_by({"action": "hard_stop"}, granted({"crossed": [100]}))
	[notice.percent | some notice in hard.obligations.notify] == [100]
}

test_beyond_a_soft_limit_is_allowed_and_flagged if {
	decision := decision_by({"action": "soft_limit"}, granted({"over": true}))
	decision.allow == true
	decision.reason == "over_soft_limit"
	decision.message == "soft"
	decision.about == [day]
}

test_the_cheaper_model_is_forced_when_it_was_chosen if {
	outcome := object.union(granted({"over": true}), {"candidate": "lab/small"})
	decision := decision_by({"action": "reduced_priority"}, outcome)
	decision.allow == true
	decision.reason == "routed_cheaper"
	decision.message == "cheaper"
	decision.obligations.force_model == "lab/small"

	asked := decision_by({"action": "reduced_priority"}, object.union(granted({}), {"candidate": "lab/large"}))
	asked.reason == "ok"
	not asked.obligations.force_model
}

test_where_the_bucket_has_no_room_for_the_other_model_it_is_the_bucket_that_is_told_of if {
	outcome := {"granted": true, "candidate": "lab/small", "limits": [
		{"id": "tenant:acme:tokens", "granted": true, "over": false, "crossed": [], "on_exceed": "deny"},
		{"id": day, "granted": true, "over": false, "crossed": [], "on_exceed": "flag"},
	]}
	decision := decision_by({"action": "reduced_priority"}, outcome)
	decision.reason == "routed_cheaper"
	decision.message == "Too little is left of the {period} allowance for this model. Routing to lab/small."
	decision.about == ["tenant:acme:tokens"]
	decision.obligations.force_model == "lab/small"

	# Of money the cheaper model may need no more than there is.
	said := budgeted({"action": "reduced_priority"})
	spending := object.union(said, {"budgets": {"team_budgets": {"data": {"usd": 1000}}}})
	request := object.union(alice, {"team_id": "data", "outcome": outcome})
	money := rate_limit.decision with input as request with data.config as spending
	money.message == "cheaper"
}

test_who_asks_for_the_cheaper_model_is_told_the_same_beyond_the_budget if {
	decision := decision_by({"action": "reduced_priority"}, granted({"over": true}))
	decision.reason == "over_soft_limit"
	decision.message == "cheaper"
	not decision.obligations.force_model
}

test_what_would_only_reduce_stops_nobody_and_is_not_told_of if {
	bucket := "tenant:acme:tokens"
	outcome := {"granted": false, "candidate": null, "limits": [
		{"id": bucket, "granted": false, "over": true, "crossed": [], "on_exceed": "deny"},
		{"id": day, "granted": false, "over": true, "crossed": [], "on_exceed": "deny"},
	]}
	decision := decision_by({"action": "reduced_priority"}, outcome)
	decision.reason == "rate_limited"
	decision.about == [bucket]
}

test_the_file_may_warn_at_its_end if {
	said := budgeted({"action": "soft_limit"})
	at_end := object.union(said, {"budgets": {"per_user_budgets": {"warnings": [{"at_percent": 100, "message": "end"}]}}})
	request := object.union(alice, {"outcome": granted({"crossed": [100]})})
	decision := rate_limit.decision with input as request with data.config as at_end
	decision.warnings == ["end", "{percent_used}%"]
}

test_beyond_a_hard_stop_is_denied if {
	outcome := {"granted": false, "candidate": null, "limits": [
		{"id": "tenant:acme:tokens", "granted": true, "over": false, "crossed": [], "on_exceed": "deny"},
		{"id": day, "granted": false, "over": true, "crossed": [], "on_exceed": "deny"},
	]}
	decision := decision_by({"action": "hard_stop"}, outcome)
	decision.allow == false
	decision.reason == "budget_exceeded"
	decision.status == 429
	decision.message == "hard"
	decision.about == [day]
}

test_no_footer_and_no_warning_unless_the_file_says_so if {
	said := budgeted({"action": "hard_stop"})
	silent := object.union(said, {"budgets": {"per_user_budgets": {
		"include_budget_in_response": false,
		"on_approaching_limit": {"action": "none"},
	}}})
	request := object.union(alice, {"outcome": granted({"crossed": [75]})})
	decision := rate_limit.decision with input as request with data.config as silent
	decision.warnings == ["three quarters"]
	not decision.obligations.footer
}

test_a_request_that_names_no_user_is_refused_where_one_is_required if {
	required := object.union(config, {"authentication": {"require_user": true}})
	every user in ["", null, 7] {
		plan := rate_limit.plan with input as {"tenant_id": "acme", "user_id": user} with data.config as required
		refusal_of(plan).reason == "unidentified"
	}
	known := rate_limit.plan with input as alice with data.config as required
	not known.refuse

	# Who is not served is told that, and nothing more.
	both := object.union(required, {"tenants": closed.tenants})
	unknown := rate_limit.plan with input as {"tenant_id": "umbrella"} with data.config as both
	refusal_of(unknown).reason == "unknown_tenant"
	listed := rate_limit.plan with input as {"tenant_id": "acme"} with data.config as both
	refusal_of(listed).reason == "unidentified"
}

test_a_users_tier_limits_its_requests if {
	plan := plan_for({"tenant_id": "acme", "user_id": "erin"})
	[limit.id | some limit in plan.limits] == ["tenant:acme:tokens", "user:erin:requests"]
}

test_beyond_a_tier_is_denied_in_its_own_words if {
	decision := decision_on({"granted": false, "limits": [
		{"id": "tenant:acme:tokens", "granted": true},
		{"id": "user:erin:requests", "granted": false},
	]})
	decision.reason == "rate_limited"
	decision.status == 429
	contains(decision.message, "{tokens_limit} requests")
	decision.about == ["user:erin:requests"]
}

one_account := {
	"accounts": {"main": {"provider": "lab", "per": "account", "limits": {"requests_per_minute": 50, "timezone": "UTC"}}},
	"account_of_model": {},
	"account_of_prefix": [],
	"account_of_provider": {"lab": "main"},
	"id_of_alias": {},
	"chains": {"lab/large": {"models": ["lab/other"], "on": ["rate_limit"], "max_attempts": 2}},
	"rules": [{"when": {}, "model": "lab/other"}],
}

# Where an account serves the model.
plan_with_account(exceeded, request) := plan if {
	served := object.union(budgeted(exceeded), {"providers": one_account})
	plan := rate_limit.plan with input as request with data.config as served
}

test_the_limits_of_the_provider_hold_for_the_one_model if {
	plan := plan_with_account({"action": "hard_stop"}, alice)
	object.keys(plan) == {"candidates"}
	[candidate] := plan.candidates
	candidate.model == "lab/large"
	candidate.gates == ["cooldown:lab/large", "circuit:lab/large"]
	candidate.scope == "shared:main"
	[limit.id | some limit in candidate.limits] == ["tenant:acme:tokens", day, "provider:main:requests"]
	object.keys(plan_with_account({"action": "hard_stop"}, {"tenant_id": "acme"})) == {"limits"}
}

test_a_provider_that_refuses_does_not_change_the_model if {
	plan := plan_with_account({"action": "reduced_priority"}, alice)
	[candidate.model | some candidate in plan.candidates] == ["lab/large", "lab/small"]
	plan.candidates[1].on == ["budget"]
	not plan.candidates[0].on
	cheaper := plan_with_account({"action": "reduced_priority"}, object.union(alice, {"model": "lab/small"}))
	[candidate.model | some candidate in cheaper.candidates] == ["lab/small"]
}

test_a_model_that_is_out_is_told_of if {
	decision := decision_on({
		"granted": false,
		"candidate": null,
		"closed": [{"candidate": "lab/large", "gate": "cooldown:lab/large"}],
		"limits": [{"id": "tenant:acme:tokens", "granted": true}, {"id": "provider:main:requests", "granted": true}],
	})
	decision.reason == "provider_unavailable"
	decision.status == 429
}
