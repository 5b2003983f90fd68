# METADATA
# title: A policy without counters
# description: One entrypoint for each kind of answer, to compare with other evaluators of the same Rego.
package authz.plain

# METADATA
# description: A boolean, whatever the input.
# scope: document
# entrypoint: true
default allow := false

allow if input.action in permissions

# METADATA
# description: A string that comes from data; undefined for a user without a role.
# scope: document
# entrypoint: true
role := data.roles.users[input.user]

# METADATA
# description: A set of what the user may do, empty for a stranger.
# scope: document
# entrypoint: true
permissions contains action if some action in data.roles.permissions[role]

# METADATA
# description: The same as a sorted array.
# scope: document
# entrypoint: true
sorted_permissions := sort(permissions)

# METADATA
# description: An object with all kinds of values; undefined for a user without a role.
# scope: document
# entrypoint: true
explanation := {
	"user": input.user,
	"role": role,
	"allowed": allow,
	"count": count(permissions),
	"permissions": sorted_permissions,
	"nothing": null,
}

# METADATA
# description: The input as it arrived; undefined without one.
# scope: document
# entrypoint: true
echo := input
