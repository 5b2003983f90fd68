package lib.decisions_test

import data.lib.decisions

test_allowed_asks_for_nothing_more if {
	decisions.allowed == {
		"allow": true,
		"reason": "ok",
		"status": 200,
		"message": "",
		"warnings": [],
		"obligations": {},
	}
}

test_denied_says_why if {
	decisions.denied("rate_limited", 429, "Later.") == {
		"allow": false,
		"reason": "rate_limited",
		"status": 429,
		"message": "Later.",
		"warnings": [],
		"obligations": {},
	}
}

test_a_refusal_says_why_and_no_more if {
	decisions.refusal("unknown_tenant", 403, "Who?") == {"reason": "unknown_tenant", "status": 403, "message": "Who?"}
}
