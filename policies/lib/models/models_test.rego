package lib.models_test

import data.lib.models

card := {"models": {
	"lab/large": {"weight": 20, "aliases": ["large", "best", "lab/small"]},
	"lab/small": {"weight": 2, "aliases": ["small", "best"]},
	"lab/free": {"weight": 1, "aliases": []},
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

test_of_two_models_with_one_alias_the_dearer_counts if {
	models.weight("best", card) == 20
}

test_a_model_that_is_not_known_weighs_1 if {
	models.weight("lab/unheard-of", card) == 1
	models.weight("", card) == 1
	models.weight(null, card) == 1
	models.weight(["lab/large"], card) == 1
	models.weight("lab/large", {"models": {}}) == 1
}
