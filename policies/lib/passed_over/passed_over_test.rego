package lib.passed_over_test

import data.lib.passed_over

words_for(closed) := said if {
	said := passed_over.words with input as {"outcome": {"closed": [{"candidate": pair[0], "gate": pair[1]} |
		some pair in closed
	]}}
}

test_each_candidate_is_told_of_once_with_all_its_reasons if {
	words_for([]) == ""
	words_for([
		["default", "circuit:default"],
		["lab/large", "limit:provider:main/lab/large:requests:day"],
		["default", "failed:other"],
		["lab/large", "limit:provider:main/lab/large:input_tokens"],
		["lab/large", "limit:provider:main/lab/large:output_tokens"],
		["lab/large", "limit:provider:main/lab/large:tokens"],
	]) == concat("", [
		"the model has failed too often and is left alone for a while and has failed in this run (another failure); ",
		"lab/large is at its provider's limit of requests a day and is at its provider's limit of input tokens a minute",
		" and is at its provider's limit of output tokens a minute and is at its provider's limit of tokens a minute",
	])
	words_for([["lab/large", "budget:routing:alice:tokens:day"], ["lab/small", "on:budget"]]) == concat("", [
		"lab/large is left to those who have used less of their budget; ",
		"lab/small does not stand in after a budget that is used up",
	])
}

test_every_reason_has_words if {
	whys := {"rate_limit", "timeout", "unavailable", "circuit", "authentication", "invalid_request", "other", "budget"}
	every why in whys {
		contains(words_for([["m", concat(":", ["on", why])]]), "m does not stand in after ")
	}
	every why in whys - {"circuit", "budget"} {
		contains(words_for([["m", concat(":", ["failed", why])]]), "m has failed in this run (")
	}
}
