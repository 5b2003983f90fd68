package lib.models_test

import data.lib.models

card := {"models": {
	"lab/large": {"weight": 20, "input": "3.00", "output": "15.00", "aliases": ["large", "lab/small", "fast*"]},
	"lab/small": {"weight": 2, "input": "0.8", "output": "4", "aliases": ["small"]},
	"lab/free": {"weight": 1, "aliases": []},
	"lab/*": {"weight": 5, "input": "1", "output": "2", "aliases": []},
	"lab/small-*": {"weight": 3, "input": "0.5", "output": "1", "aliases": ["laboratory/*"]},
	"lab/dated": {
		"weight": 1,
		"input": "1",
		"output": "9",
		"prices": [
			{"effective_from": "2026-01-01", "input": "3", "output": "2"},
			{"effective_from": "2027-01-01", "input": "2", "output": "3"},
		],
		"aliases": [],
	},
}}

test_a_model_is_found_by_its_id if {
	models.weight("lab/large", card) == 20
	models.weight("lab/free", card) == 1
}

test_a_model_is_found_by_an_alias if {
	models.weight("large", card) == 20
	models.weight("small", card) == 2
}

test_an_id_goes_before_an_alias if {
	models.weight("lab/small", card) == 2
}

test_a_wildcard_stands_for_what_begins_so if {
	models.weight("lab/unheard-of", card) == 5
	models.weight("lab/", card) == 5
	models.weight("laboratory/x", card) == 3
	models.weight("fastest", card) == 20
}

test_the_longest_wildcard_counts if {
	models.weight("lab/small-2", card) == 3
	models.weight("lab/smaller", card) == 5

	# `!` sorts before `*`.
	models.weight("lab/!x", object.union(card, {"models": {"lab/!*": {"weight": 7, "aliases": []}}})) == 7
}

test_a_model_that_is_not_known_weighs_1 if {
	models.weight("other/model", card) == 1
	models.weight("", card) == 1
	models.weight(null, card) == 1
	models.weight(["lab/large"], card) == 1
	models.weight("lab/large", {"models": {}}) == 1
}

test_a_price_is_found_by_id_alias_and_wildcard if {
	models.nanos_per_token("lab/large", card) == {"input": 3000, "output": 15000}
	models.nanos_per_token("small", card) == {"input": 800, "output": 4000}
	models.nanos_per_token("lab/small-2", card) == {"input": 500, "output": 1000}
}

test_a_model_without_a_price_costs_nothing_to_estimate if {
	models.nanos_per_token("lab/free", card) == {"input": 0, "output": 0}
	models.nanos_per_token("other/model", card) == {"input": 0, "output": 0}
}

test_of_prices_that_change_the_dearest_is_the_estimate if {
	models.nanos_per_token("lab/dated", card) == {"input": 3000, "output": 9000}
}
