# METADATA
# description: What `POST /` decides.
package system

# METADATA
# entrypoint: true
main := {"agg": sum(input.xs)} if input.xs
