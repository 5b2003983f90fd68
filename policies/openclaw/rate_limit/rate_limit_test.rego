package openclaw.rate_limit_test

import data.openclaw.rate_limit

config := {
	"tenants": {
		"defaults": {"capacity": 10000, "refill": "daily", "price_per_token": "0.0001"},
		"unknown_tenants": "default",
		"tenants": {"acme": {}, "globex": {"capacity": 50000}, "initech": {"refill": "hourly", "capacity": 0}},
	},
	"models": {"models": {"lab/large": {"weight": 20, "aliases": ["large"]}}},
}

closed := object.union(config, {"tenants": {"unknown_tenants": "deny"}})

plan_for(request) := plan if plan := rate_limit.plan with input as request with data.config as config

limit_for(request) := limit if {
	plan := plan_for(request)
	object.keys(plan) == {"limits"}
	count(plan.limits) == 1
	limit := plan.limits[0]
}

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
	plan == {"refuse": {"reason": "unknown_tenant", "status": 403, "message": "This tenant is not known."}}

	known := rate_limit.plan with input as {"tenant_id": "acme"} with data.config as closed
	object.keys(known) == {"limits"}
}

test_a_request_that_names_no_tenant_is_refused if {
	refused := {"refuse": {"reason": "unknown_tenant", "status": 403, "message": "The request names no tenant."}}
	every tenant in ["", null, false, 7, ["acme"], {"acme": 1}] {
		plan_for({"tenant_id": tenant}) == refused
	}
	plan_for({}) == refused
	plan_for("acme") == refused
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
