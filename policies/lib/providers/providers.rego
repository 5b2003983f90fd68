# METADATA
# title: Providers
# description: |
#   What `config/providers.yaml` says of a model: the limits of the account that serves it, and what stands in for it.
#   `file` is the file as policies see it: in it everything is found by its name.
package lib.providers

import data.lib.limits

# METADATA
# title: Shared
# description: |
#   What a candidate for the model shares with all who use its account: `limits`, `gates` and `scope`; no more than
#   empty `limits` where no account serves it. `estimated` says what the call takes, see below.
# scope: document
shared(model, estimated, file) := {
	"limits": _limits({"type": "provider", "id": _subject(name, model, file)}, scope, account.limits, estimated),
	"gates": [concat(":", ["cooldown", id]), concat(":", ["circuit", id])],
	"scope": scope,
} if {
	name := _account_of(model, file)
	account := file.accounts[name]
	id := _id(model, file)
	scope := concat(":", ["shared", name])
} else := {"limits": []}

# METADATA
# title: Estimate
# description: What a call takes of each limit, by its `tokens` in all, those of its prompt, and the most of its answer.
# scope: document
estimate(tokens, input_tokens, output_tokens) := {
	"requests": 1,
	"tokens": tokens,
	"input_tokens": input_tokens,
	"output_tokens": output_tokens,
}

# METADATA
# title: Chain
# description: |
#   What stands in for a model, by its id or an alias: `models`, `on` which reasons, and `max_attempts`. Without a chain
#   nothing does, and attempts are not counted.
# scope: document
chain(model, file) := said if {
	said := file.chains[model]
} else := said if {
	said := file.chains[file.id_of_alias[model]]
} else := {"models": [], "on": []}

_account_of(model, file) := name if {
	name := file.account_of_model[model]
} else := name if {
	name := [rule.account | some rule in file.account_of_prefix; startswith(model, rule.prefix)][0]
} else := file.account_of_provider[_provider_of(model)]

# Before the first slash: a name without one says no provider.
_provider_of(model) := parts[0] if {
	parts := split(model, "/")
	count(parts) > 1
}

# To the provider a model is one, by whichever of its names it is asked for.
_id(model, file) := object.get(file.id_of_alias, model, model)

_subject(name, model, file) := concat("/", [name, _id(model, file)]) if file.accounts[name].per == "model"

_subject(name, _, file) := name if file.accounts[name].per == "account"

_limits(subject, scope, given, estimated) := array.concat(
	[limits.token_bucket(object.union(rule.counted, {
		"id": concat(":", ["provider", subject.id, rule.name]),
		"subject": subject,
		"unit": rule.unit,
		"capacity": given[rule.field],
		"refill": {"amount": given[rule.field], "per_seconds": 60, "mode": "continuous"},
		# One of more than a whole minute's tokens never has room: the provider would refuse it too, and all would wait
		# for the cooldown.
		"cost": estimated[rule.name],
		"scope": scope,
	})) |
		some rule in _a_minute
		given[rule.field]
	],
	[limits.window({
		"subject": subject,
		"unit": "requests",
		"capacity": given.requests_per_day,
		"cost": 1,
		"window": {"period": "day", "timezone": given.timezone},
		"scope": scope,
	}) |
		given.requests_per_day
	],
)

_a_minute := [
	{"field": "requests_per_minute", "name": "requests", "unit": "requests", "counted": {}},
	{"field": "tokens_per_minute", "name": "tokens", "unit": "tokens", "counted": {"settles": true}},
	{
		"field": "input_tokens_per_minute",
		"name": "input_tokens",
		"unit": "tokens",
		"counted": {"settles": true, "counts": "input_tokens"},
	},
	{
		"field": "output_tokens_per_minute",
		"name": "output_tokens",
		"unit": "tokens",
		"counted": {"settles": true, "counts": "output_tokens"},
	},
]
