# METADATA
# title: Models
# description: What the rate card says about a model, found by its id or by one of its aliases.
package lib.models

# METADATA
# title: Weight
# description: |
#   How many bucket tokens one request to the model costs; 1 for a model that `card`, the rate card, does not know. If
#   two models claim one alias, the dearer counts.
# scope: document
weight(name, card) := card.models[name].weight

weight(name, card) := max(_weights_by_alias(name, card)) if not card.models[name]

_weights_by_alias(name, card) := {1} | {model.weight |
	some model in card.models
	name in model.aliases
}

# METADATA
# title: Price
# description: |
#   Nano-dollars for a token of the prompt and of the answer; 0 for a model that `card`, the rate card, has no price
#   for. If two models claim one alias, the dearer counts.
# scope: document
nanos_per_token(name, card) := _price(card.models[name])

nanos_per_token(name, card) := {
	"input": max({0} | {_price(model).input | some model in _by_alias(name, card)}),
	"output": max({0} | {_price(model).output | some model in _by_alias(name, card)}),
} if {
	not card.models[name]
}

# USD for a million tokens are a thousand nano-dollars for one.
_price(model) := {
	"input": to_number(object.get(model, "input", "0")) * 1000,
	"output": to_number(object.get(model, "output", "0")) * 1000,
}

_by_alias(name, card) := [model |
	some model in card.models
	name in model.aliases
]
