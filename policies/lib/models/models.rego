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
