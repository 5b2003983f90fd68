# METADATA
# title: Models
# description: |
#   What the rate card says about a model, found by its id, else by one of its aliases, else by the longest id or alias
#   that ends in `*` and begins as the name does.
package lib.models

# METADATA
# title: Weight
# description: |
#   How many bucket tokens one request to the model costs; 1 for a model that `card`, the rate card, does not know.
# scope: document
weight(name, card) := model.weight if {
	model := _found(name, card)
} else := 1

# METADATA
# title: Price
# description: |
#   Nano-dollars for a token of the prompt and of the answer; 0 for a model that `card`, the rate card, has no price
#   for. Where prices change with time it is the dearest of them: an estimate, corrected by what a call really cost, and
#   a policy that asked for the time could not be remembered.
# scope: document
nanos_per_token(name, card) := {"input": _dearest(model, "input"), "output": _dearest(model, "output")} if {
	model := _found(name, card)
} else := {"input": 0, "output": 0}

# USD for a million tokens are a thousand nano-dollars for one.
_dearest(model, type) := 1000 * max({to_number(object.get(price, type, "0")) |
	some price in array.concat([model], object.get(model, "prices", []))
})

_found(name, card) := model if {
	model := card.models[name]
} else := model if {
	model := card.models[min(_ids_by_alias(name, card))]
} else := card.models[_id_by_wildcard(name, card)]

_ids_by_alias(name, card) := {id |
	some id, model in card.models
	name in model.aliases
}

# Of two prefixes of one name the longer is the greater.
_id_by_wildcard(name, card) := id if {
	[_, id] := max({[prefix, id] |
		some id, model in card.models
		some pattern in array.concat([id], model.aliases)
		endswith(pattern, "*")
		prefix := trim_suffix(pattern, "*")
		startswith(name, prefix)
	})
}
