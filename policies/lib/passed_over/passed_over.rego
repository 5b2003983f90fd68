# METADATA
# title: Passed over
# description: Why candidates were passed over.
# schemas:
#   - input: schema.input
#   - data.config: schema.config
package lib.passed_over

# METADATA
# title: Kinds
# description: |
#   Of gates and the like: `cooldown`, `circuit`, `limit` of a provider, `budget` or another limit of the tenant's own,
#   `failed` in this run, `on` (no candidate for why one before it was passed over), `attempts`.
# scope: document
kinds contains _kind(closed.gate) if some closed in input.outcome.closed

_kind(gate) := split(gate, ":")[0]

# METADATA
# title: Words
# description: Why candidates were passed over, in plain words, in their order.
# scope: document
words := concat("; ", [concat(" ", [_called(model), concat(" and ", reasons)]) |
	some i, closed in input.outcome.closed
	model := closed.candidate
	every other in array.slice(input.outcome.closed, 0, i) {
		other.candidate != model
	}
	reasons := [_words(other.gate) | some other in input.outcome.closed; other.candidate == model]
])

_called("default") := "the model"

_called(model) := model if model != "default"

_words(gate) := "cools down after a rate limit" if _kind(gate) == "cooldown"

_words(gate) := "has failed too often and is left alone for a while" if _kind(gate) == "circuit"

_words(gate) := concat("", ["is at its provider's limit of ", called]) if {
	_kind(gate) == "limit"
	called := [named.words | some named in _limit_words; endswith(gate, named.end)][0]
}

_words(gate) := "is left to those who have used less of their budget" if startswith(gate, "budget:routing:")

_words(gate) := "needs more than is left of a budget or an allowance" if {
	_kind(gate) == "budget"
	not startswith(gate, "budget:routing:")
}

_words(gate) := concat("", ["has failed in this run (", _failure_words[split(gate, ":")[1]], ")"]) if {
	_kind(gate) == "failed"
}

_words(gate) := concat("", ["does not stand in after ", _failure_words[split(gate, ":")[1]]]) if _kind(gate) == "on"

_words("attempts") := "may not be tried again, as this run has made all its attempts"

_limit_words := [
	{"end": ":requests:day", "words": "requests a day"},
	{"end": ":requests", "words": "requests a minute"},
	{"end": ":input_tokens", "words": "input tokens a minute"},
	{"end": ":output_tokens", "words": "output tokens a minute"},
	{"end": ":tokens", "words": "tokens a minute"},
]

_failure_words := {
	"rate_limit": "a rate limit",
	"timeout": "a time-out",
	"unavailable": "an outage",
	"circuit": "repeated failures",
	"authentication": "a refused key",
	"invalid_request": "an invalid request",
	"budget": "a budget that is used up",
	"other": "another failure",
}
