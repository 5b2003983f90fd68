# METADATA
# title: Decisions
# description: The answers of a metered package, in the one shape that the sidecar takes.
package lib.decisions

# METADATA
# title: Allowed
# description: The decision that everything is in order.
allowed := {"allow": true, "reason": "ok", "status": 200, "message": "", "warnings": [], "obligations": {}}

# METADATA
# title: Denied
# description: The decision to deny. `message` is for the caller and may hold placeholders such as `{reset_time}`.
# scope: document
denied(reason, status, message) := object.union(
	refusal(reason, status, message),
	{"allow": false, "warnings": [], "obligations": {}},
)

# METADATA
# title: Refusal
# description: What a plan says in `refuse` so that nothing is taken.
# scope: document
refusal(reason, status, message) := {"reason": reason, "status": status, "message": message}
