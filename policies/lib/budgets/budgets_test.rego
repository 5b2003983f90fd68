package lib.budgets_test

import data.lib.budgets

file := {
	"per_user_budgets": {
		"enabled": true,
		"default_limits": {"daily_tokens": 50000, "monthly_tokens": 1000000},
		"user_overrides": {"alice": {"daily_tokens": 100000, "monthly_tokens": 2000000}, "dora": {"monthly_tokens": 7}},
		"role_limits": {"admin": 200000, "viewer": 10000},
		"reset_schedule": {"daily_reset_time": "02:30", "monthly_reset_day": 15, "timezone": "Europe/Berlin"},
		"rollover": {"enabled": false, "max_rollover_tokens": 20000},
		"warnings": [{"at_percent": 90, "message": "90"}, {"at_percent": 75, "message": "75"}],
		"on_limit_exceeded": {"action": "soft_limit"},
		"expected_output_tokens": 500,
	},
	"department_budgets": {"rnd": {"daily_tokens": 5000, "action": "hard_stop"}},
	"project_budgets": {"p1": {"monthly_tokens": 6000}},
	"team_budgets": {"data": {"usd": 250000000000}},
	"tenant_budgets": {"acme": {"daily_tokens": 1, "monthly_tokens": 2, "usd": 3}},
}

budgets_for(request) := {id: budget.capacity |
	some budget in budgets.drawn_on(request, file)
	id := concat(" ", [budget.subject.type, budget.subject.id, budget.unit, budget.period])
}

test_a_user_has_the_stricter_of_the_default_and_the_roles_limit if {
	budgets_for({"user_id": "bob"}) == {"user bob tokens day": 50000, "user bob tokens month": 1000000}
	budgets_for({"user_id": "bob", "role": "admin"})["user bob tokens day"] == 50000
	budgets_for({"user_id": "bob", "role": "viewer"}) == {"user bob tokens day": 10000, "user bob tokens month": 1000000}
	budgets_for({"user_id": "bob", "role": ["viewer"]})["user bob tokens day"] == 50000
}

test_an_override_replaces_both_for_the_periods_that_it_names if {
	overridden := {"user alice tokens day": 100000, "user alice tokens month": 2000000}
	budgets_for({"user_id": "alice"}) == overridden
	budgets_for({"user_id": "alice", "role": "viewer"}) == overridden
	budgets_for({"user_id": "dora", "role": "viewer"}) == {"user dora tokens day": 10000, "user dora tokens month": 7}
}

test_a_boost_is_on_top_of_the_users_own_budgets_alone if {
	budgets_for({"user_id": "alice", "granted_tokens": 500, "department_id": "rnd"}) == {
		"user alice tokens day": 100500,
		"user alice tokens month": 2000500,
		"department rnd tokens day": 5000,
	}
}

test_without_a_default_only_roles_are_limited if {
	bare := json.remove(file, [
		"per_user_budgets/default_limits/daily_tokens",
		"per_user_budgets/default_limits/monthly_tokens",
	])
	budgets.drawn_on({"user_id": "bob"}, bare) == []
	[budget] := budgets.drawn_on({"user_id": "bob", "role": "viewer"}, bare)
	budget.capacity == 10000
}

test_nobody_and_nothing_has_no_budget if {
	every request in [{}, "acme", {"user_id": ""}, {"user_id": 7}, {"department_id": "sales"}, {"team_id": ["data"]}] {
		budgets_for(request) == {}
	}
	off := object.union(file, {"per_user_budgets": {"enabled": false}})
	budgets.drawn_on({"user_id": "bob"}, off) == []
}

test_groups_have_budgets_of_their_own if {
	budgets_for({"department_id": "rnd", "project_id": "p1", "team_id": "data", "tenant_id": "acme"}) == {
		"department rnd tokens day": 5000,
		"project p1 tokens month": 6000,
		"team data usd month": 250000000000,
		"tenant acme tokens day": 1,
		"tenant acme tokens month": 2,
		"tenant acme usd month": 3,
	}
}

limits_for(request, denying) := budgets.limits_of(request, file, {"tokens": 12, "usd": 34}, denying)

test_budgets_are_windows_in_the_files_schedule if {
	[day, month] := limits_for({"user_id": "bob"}, set())
	day == {
		"id": "user:bob:tokens:day",
		"kind": "window",
		"subject": {"type": "user", "id": "bob"},
		"unit": "tokens",
		"capacity": 50000,
		"cost": 12,
		"settles": true,
		"billed": false,
		"window": {"period": "day", "reset_time": "02:30", "timezone": "Europe/Berlin"},
		"thresholds": [75, 90, 100],
		"on_exceed": "flag",
	}
	month.window == {"period": "month", "reset_time": "02:30", "reset_day": 15, "timezone": "Europe/Berlin"}

	[team] := limits_for({"team_id": "data"}, set())
	team.id == "team:data:usd:month"
	team.cost == 34
}

test_each_budget_denies_or_flags_by_its_own_action if {
	request := {"user_id": "bob", "department_id": "rnd"}
	exceeds := [limit.on_exceed | some limit in limits_for(request, {"hard_stop"})]
	exceeds == ["flag", "flag", "deny"]
	budgets.actions(request, file) == {
		"user:bob:tokens:day": "soft_limit",
		"user:bob:tokens:month": "soft_limit",
		"department:rnd:tokens:day": "hard_stop",
	}
}

test_what_is_left_rolls_over_where_the_file_says_so if {
	rolling := object.union(file, {"per_user_budgets": {"rollover": {"enabled": true}}})
	every limit in budgets.limits_of({"user_id": "bob"}, rolling, {"tokens": 1}, set()) {
		limit.window.rollover == {"max": 20000}
	}
	[group] := budgets.limits_of({"project_id": "p1"}, rolling, {"tokens": 1}, set())
	not group.window.rollover
}

test_a_call_is_estimated_by_what_the_request_says if {
	every case in [
		[{}, {"input": 0, "output": 500}],
		[{"prompt_chars": 401}, {"input": 101, "output": 500}],
		[{"input_tokens": 30, "prompt_chars": 400}, {"input": 30, "output": 500}],
		[{"input_tokens": 30.2, "max_output_tokens": 7}, {"input": 31, "output": 7}],
		[{"estimated_tokens": 900, "input_tokens": 200}, {"input": 200, "output": 700}],
		[{"estimated_tokens": 100, "input_tokens": 200}, {"input": 100, "output": 0}],
		[{"estimated_tokens": 900}, {"input": 0, "output": 900}],
		[{"input_tokens": -5, "max_output_tokens": "8"}, {"input": 0, "output": 500}],
		[{"input_tokens": 1e300}, {"input": 1000000000000, "output": 500}],
	] {
		budgets.estimate(case[0], file) == case[1]
	}
}

card := {"models": {
	"lab/large": {"weight": 1, "input": "3.00", "output": "15.00", "aliases": ["large"]},
	"lab/small": {"weight": 1, "input": "0.035", "output": "0.14", "aliases": []},
	"lab/free": {"weight": 1, "aliases": []},
}}

test_a_call_costs_by_the_rate_card if {
	estimated := {"input": 1001, "output": 500}
	budgets.cost(estimated, "lab/large", card) == {"tokens": 1501, "usd": 10503000}
	budgets.cost(estimated, "large", card) == {"tokens": 1501, "usd": 10503000}
	budgets.cost(estimated, "lab/small", card).usd in {105035, 105036}
	budgets.cost(estimated, "lab/free", card).usd == 0
	every unknown in ["lab/unknown", "", null, 7] {
		budgets.cost(estimated, unknown, card).usd == 0
	}

	# Or what is used up would let through who says that nothing will be used.
	budgets.cost({"input": 0, "output": 0}, "lab/free", card).tokens == 1
}
