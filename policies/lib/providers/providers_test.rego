package lib.providers_test

import data.lib.providers as accounts

file := {
	"accounts": {
		"main": {"provider": "lab", "per": "account", "limits": {
			"requests_per_minute": 50,
			"tokens_per_minute": 1000,
			"requests_per_day": 1500,
			"timezone": "America/Los_Angeles",
		}},
		"each": {"provider": "forge", "per": "model", "limits": {
			"input_tokens_per_minute": 300,
			"output_tokens_per_minute": 80,
			"timezone": "UTC",
		}},
		"batch": {"provider": "lab", "per": "account", "limits": {"requests_per_minute": 5, "timezone": "UTC"}},
	},
	"account_of_model": {"lab/night": "batch", "plain": "main"},
	"account_of_prefix": [{"prefix": "lab/night-", "account": "batch"}, {"prefix": "lab/n", "account": "each"}],
	"account_of_provider": {"lab": "main", "forge": "each"},
	"id_of_alias": {"forge/large-2026": "forge/large", "lab/big": "lab/large"},
	"chains": {"lab/large": {"models": ["lab/small"], "on": ["timeout"], "max_attempts": 2}},
	"rules": [],
}

shared(model) := accounts.shared(model, accounts.estimate(700, 400, 90), file)

scope_of(model) := object.get(shared(model), "scope", "none")

test_a_model_belongs_to_who_names_it_else_to_the_longest_beginning_else_to_its_provider if {
	scope_of("lab/large") == "shared:main"
	scope_of("forge/large") == "shared:each"
	scope_of("lab/night") == "shared:batch"
	scope_of("lab/night-2") == "shared:batch"
	scope_of("lab/noon") == "shared:each"
	scope_of("plain") == "shared:main"
}

test_a_model_of_nobody_shares_nothing if {
	every model in ["other/large", "lab", "large", "", null, 7, ["lab/large"], "constructor/x"] {
		shared(model) == {"limits": []}
	}
}

test_a_candidate_has_the_gates_of_its_model if {
	shared("lab/large").gates == ["cooldown:lab/large", "circuit:lab/large"]
	shared("lab/big").gates == shared("lab/large").gates
}

test_an_account_has_buckets_of_a_minute_and_the_day_of_its_provider if {
	[requests, tokens, day] := shared("lab/large").limits
	requests == {
		"id": "provider:main:requests",
		"subject": {"type": "provider", "id": "main"},
		"kind": "token_bucket",
		"unit": "requests",
		"capacity": 50,
		"cost": 1,
		"settles": false,
		"billed": false,
		"refill": {"amount": 50, "per_seconds": 60, "mode": "continuous"},
		"on_exceed": "deny",
		"scope": "shared:main",
	}
	tokens.id == "provider:main:tokens"
	tokens.cost == 700
	tokens.settles == true
	not tokens.counts
	day.id == "provider:main:requests:day"
	day.kind == "window"
	day.capacity == 1500
	day.window == {"period": "day", "timezone": "America/Los_Angeles"}
}

test_input_and_output_are_corrected_by_their_own_tokens if {
	[input_tokens, output_tokens] := shared("lab/noon").limits
	[input_tokens.counts, output_tokens.counts] == ["input_tokens", "output_tokens"]
	[input_tokens.unit, output_tokens.unit] == ["tokens", "tokens"]
	[input_tokens.settles, output_tokens.settles] == [true, true]
}

test_what_is_larger_than_a_minute_never_has_room if {
	[[limit.cost, limit.capacity] | some limit in shared("lab/noon").limits] == [[400, 300], [90, 80]]
}

test_each_model_may_have_the_limits_for_itself_by_whichever_of_its_names if {
	ids := {model: [limit.id | some limit in shared(model).limits] | some model in ["forge/large", "forge/large-2026"]}
	ids["forge/large"] == [
		"provider:each/forge/large:input_tokens",
		"provider:each/forge/large:output_tokens",
	]
	ids["forge/large-2026"] == ids["forge/large"]
	{limit.subject.id | some limit in shared("forge/small").limits} == {"each/forge/small"}
}

test_a_chain_is_found_by_the_models_id_or_an_alias if {
	accounts.chain("lab/large", file).models == ["lab/small"]
	accounts.chain("lab/big", file).max_attempts == 2
	accounts.chain("lab/small", file) == {"models": [], "on": []}
}
