package lib.tiers_test

import data.lib.tiers

file := {
	"tiers": {
		"standard": {"requests_per_minute": 30, "requests_per_day": 2000},
		"power": {"requests_per_minute": 100, "requests_per_day": 10000},
		"slow": {"requests_per_day": 5},
		"unlimited": {},
	},
	"default_tier": "standard",
	"timezone": "Europe/Berlin",
	"teams": {"data": {"requests_per_minute": 60, "tier": "power"}, "ops": {"tier": "slow"}},
}

users := {"ann": {"tier": "unlimited"}, "bob": {"tier": "power"}, "dan": {"role": "admin"}}

capacities(request) := {limit.id: limit.capacity | some limit in tiers.limits_of(request, file, users)}

test_a_user_has_its_own_tier_else_the_teams_else_the_default if {
	capacities({"user_id": "ann"}) == {}
	capacities({"user_id": "bob"}) == {"user:bob:requests": 100, "user:bob:requests:day": 10000}
	capacities({"user_id": "eve", "team_id": "ops"}) == {"user:eve:requests:day": 5}
	capacities({"user_id": "dan"}) == {"user:dan:requests": 30, "user:dan:requests:day": 2000}
}

test_a_team_shares_what_it_is_given if {
	capacities({"team_id": "data"}) == {"team:data:requests": 60}
	capacities({"user_id": "ann", "team_id": "data"}) == {"team:data:requests": 60}
	capacities({"team_id": "ops"}) == {}
	capacities({"user_id": ["eve"], "team_id": ["data"]}) == {}
}

test_without_a_default_nobody_is_limited if {
	bare := json.remove(file, ["default_tier"])
	tiers.limits_of({"user_id": "eve"}, bare, users) == []
}

test_a_minute_begins_with_the_first_request_and_a_day_with_the_calendars if {
	[minute, day] := tiers.limits_of({"user_id": "bob"}, file, users)
	minute.refill == {"amount": 100, "per_seconds": 60, "mode": "interval"}
	minute.unit == "requests"
	minute.cost == 1
	day.window == {"period": "day", "timezone": "Europe/Berlin"}
}
