# METADATA
# description: |
#   What can be decided of the load's requests without counting anything: the tenant is served, the model is one that it
#   may use, and the prompt is not longer than the tenant may send.
package openclaw.rate_limit

default allow := false

allow if {
	tenant := object.get(data.tenants, input.tenant_id, data.defaults)
	input.model in tenant.models
	input.prompt_chars <= tenant.prompt_chars
}
