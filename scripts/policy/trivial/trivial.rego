# METADATA
# title: Trivial
# description: A metered package that does nothing, for `npm run policy bench` to compare with.
package trivial

# METADATA
# entrypoint: true
plan := {"limits": []}

# METADATA
# entrypoint: true
decision := {"allow": true, "reason": "ok", "status": 200, "message": ""}
