#!lua
-- Appends an audit event.
--
-- KEYS[1]  the usage stream
-- ARGV[1]  its JSON, without its time and its closing brace
--
-- Returns the time.
--
-- @include whole
-- @include now

local now = text(store_time())
redis.call('XADD', KEYS[1], '*', 'e', ARGV[1] .. ',"at":' .. now .. '}')
return now
