# METADATA
# title: Limits
# description: What the limits of a plan are made of, so that a policy reads like the rule it states.
package lib.limits

# METADATA
# title: Token bucket
# description: |
#   A bucket for one subject and unit, called after the two: `tenant:acme:tokens`. `rule` says `subject`, `unit`,
#   `capacity`, `cost` and `refill`, and what is unusual: `settles` or `billed` true, `on_exceed` "flag", its own `id`.
# scope: document
token_bucket(rule) := _limit("token_bucket", rule.unit, rule)

# METADATA
# title: Window
# description: |
#   Counts within periods of the calendar, and is called after the period too: `user:alice:tokens:day`. `rule` says
#   `subject`, `unit`, `capacity`, `cost` and `window`, such as `{"period": "day", "timezone": "Europe/Berlin"}`, and
#   what is unusual, as for a bucket.
# scope: document
window(rule) := _limit("window", concat(":", [rule.unit, rule.window.period]), rule)

# METADATA
# title: In flight
# description: |
#   How many calls of a subject may be under way at once: each is counted from its decision until it is reported, or
#   expires. `rule` says `subject` and `capacity`.
# scope: document
in_flight(rule) := _limit("concurrency", "concurrent", object.union({"unit": "concurrent", "cost": 1}, rule))

_limit(kind, name, rule) := object.union(
	{
		"id": concat(":", [rule.subject.type, rule.subject.id, name]),
		"kind": kind,
		"settles": false,
		"billed": false,
		"on_exceed": "deny",
	},
	rule,
)

# METADATA
# title: Refilled hourly, daily or weekly
# description: The whole capacity again at the end of each period, which begins with the first use of a full bucket.
# scope: document
refilled(period, capacity) := {
	"amount": max({1, min({capacity, _most})}),
	"per_seconds": _seconds[period],
	"mode": "interval",
}

_seconds := {"hourly": 3600, "daily": 86400, "weekly": 604800}

# A plan's refill is from 1 to 2^47 - 1. A bucket that holds nothing never has room, whatever its refill; one that holds
# more than 140 trillion gets these back, and nobody takes as many in a week.
_most := 140737488355327
