# METADATA
# title: Tiers
# description: |
#   How many requests `config/teams.yaml` lets users and teams make. `file` is that file, `users` what `users.yaml` says
#   of each user, by id.
package lib.tiers

import data.lib.limits

# METADATA
# title: Limits
# description: What a request draws on by the user's tier, in a minute and a day, and by the share of the team.
# scope: document
limits_of(request, file, users) := array.flatten([
	_a_minute("user", request.user_id, _tier(request, file, users)),
	_a_day(request, file, users),
	_of_team(request, file),
]) if {
	_is_name(request.user_id)
} else := _of_team(request, file)

_of_team(request, file) := limits_of_team if {
	team := file.teams[request.team_id]
	limits_of_team := _a_minute("team", request.team_id, team)
} else := []

# The whole of it again at the end of the minute that begins with the first request.
_a_minute(type, id, rule) := [limit |
	amount := rule.requests_per_minute
	limit := limits.token_bucket({
		"subject": {"type": type, "id": id},
		"unit": "requests",
		"capacity": amount,
		"cost": 1,
		"refill": {"amount": amount, "per_seconds": 60, "mode": "interval"},
	})
]

_a_day(request, file, users) := [limit |
	limit := limits.window({
		"subject": {"type": "user", "id": request.user_id},
		"unit": "requests",
		"capacity": _tier(request, file, users).requests_per_day,
		"cost": 1,
		"window": {"period": "day", "timezone": file.timezone},
	})
]

_tier(request, file, users) := tier if {
	tier := file.tiers[users[request.user_id].tier]
} else := tier if {
	tier := file.tiers[file.teams[request.team_id].tier]
} else := tier if {
	tier := file.tiers[file.default_tier]
} else := {}

_is_name(id) if {
	is_string(id)
	id != ""
}
