# METADATA
# schemas:
#   - data.PACKAGE.plan: schema.plan
#   - data.PACKAGE.decision: schema.decision
package PACKAGE_test

import data.PACKAGE as policy

test_a_request_takes_one_of_a_hundred_from_its_tenant if {
	plan := policy.plan with input as {"tenant_id": "acme"}
	count(plan.limits) == 1
	plan.limits[0].id == "tenant:acme:requests"
	plan.limits[0].capacity == 100
	plan.limits[0].cost == 1
}

test_what_was_granted_is_allowed if {
	policy.decision.reason == "ok" with input as {"outcome": {"granted": true}}
	policy.allow with input as {"outcome": {"granted": true}}
}

test_what_was_refused_is_denied if {
	policy.decision.reason == "rate_limited" with input as {"outcome": {"granted": false}}
	not policy.allow with input as {"outcome": {"granted": false}}
}
