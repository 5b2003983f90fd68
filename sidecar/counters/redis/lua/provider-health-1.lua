#!lua
-- What is known of the models of a provider account.
--
-- KEYS[1]  the health of the account's models
--
-- Returns the time, and for each model of which something is known two: its name, its health as JSON: see includes/provider-health.
--
-- @include whole
-- @include now

local known = redis.call('HGETALL', KEYS[1])
return { text(store_time()), unpack(known) }
