package lib.limits_test

import data.lib.limits

rule := {
	"subject": {"type": "tenant", "id": "acme"},
	"unit": "tokens",
	"capacity": 10,
	"cost": 2,
	"refill": {"amount": 10, "per_seconds": 60, "mode": "continuous"},
}

test_a_bucket_is_called_after_its_subject_and_unit if {
	limits.token_bucket(rule).id == "tenant:acme:tokens"
}

test_a_bucket_is_final_unbilled_and_refuses_unless_the_rule_says_otherwise if {
	usual := {"id": "tenant:acme:tokens", "kind": "token_bucket", "settles": false, "billed": false, "on_exceed": "deny"}
	limits.token_bucket(rule) == object.union(rule, usual)

	unusual := {"id": "acme's own", "settles": true, "billed": true, "on_exceed": "flag"}
	limits.token_bucket(object.union(rule, unusual)) == object.union_n([rule, usual, unusual])
}

test_a_window_is_called_after_its_period_too if {
	daily := limits.window({
		"subject": {"type": "user", "id": "alice"},
		"unit": "tokens",
		"capacity": 50000,
		"cost": 1200,
		"settles": true,
		"window": {"period": "day", "timezone": "Europe/Berlin"},
	})
	daily.id == "user:alice:tokens:day"
	daily.kind == "window"
	daily.settles == true
}

test_a_call_in_flight_counts_as_one if {
	limits.in_flight({"subject": {"type": "tenant", "id": "acme"}, "capacity": 5}) == {
		"id": "tenant:acme:concurrent",
		"subject": {"type": "tenant", "id": "acme"},
		"kind": "concurrency",
		"unit": "concurrent",
		"capacity": 5,
		"cost": 1,
		"settles": false,
		"billed": false,
		"on_exceed": "deny",
	}
}

test_refilled_gives_the_whole_capacity_each_period if {
	limits.refilled("hourly", 10) == {"amount": 10, "per_seconds": 3600, "mode": "interval"}
	limits.refilled("daily", 20) == {"amount": 20, "per_seconds": 86400, "mode": "interval"}
	limits.refilled("weekly", 30) == {"amount": 30, "per_seconds": 604800, "mode": "interval"}
}

test_a_period_that_is_not_known_is_no_refill if {
	not limits.refilled("yearly", 10)
}

test_a_refill_keeps_within_what_a_plan_may_say if {
	limits.refilled("daily", 0).amount == 1
	limits.refilled("daily", 140737488355327).amount == 140737488355327
	limits.refilled("daily", 9007199254740991).amount == 140737488355327
}
