# METADATA
# title: What the cases of OPA's REST API ask for
# description: The rules that the recorded requests run on, each of them an entrypoint.
package conf

# METADATA
# entrypoint: true
hello := "world"

# METADATA
# entrypoint: true
echo := input

# METADATA
# entrypoint: true
kind := type_name(input)

# METADATA
# entrypoint: true
gt1 if input.req1 > 1

# METADATA
# entrypoint: true
arr := [1, 2, 3, 4]

# METADATA
# entrypoint: true
obj := {"a": 1, "b": 2}

# METADATA
# entrypoint: true
members contains x if some x in ["b", "a", "c"]

# METADATA
# entrypoint: true
undef if false

# METADATA
# scope: document
# entrypoint: true
default allow := false

allow if input.user == "alice"

# METADATA
# entrypoint: true
sum_xs := sum(input.xs)

# METADATA
# entrypoint: true
no_input if not input
