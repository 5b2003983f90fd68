#!lua
-- Appends the event of a request that was refused before anything could be taken.
--
-- KEYS[1]  the usage stream
-- ARGV[1]  JSON {id, model, event}, as in take-3.lua
-- ARGV[2]  JSON of the reason
-- ARGV[3]  how many such requests it stands for
--
-- Returns the time.
--
-- @include now
-- @include whole
-- @include usage-event

local now = text(store_time())
local outcome = '{"granted":false,"reason":' .. ARGV[2] .. '}'
redis.call('XADD', KEYS[1], '*', 'e', event_json(cjson.decode(ARGV[1]), 'denied', '[]', outcome, now, now, nil, nil, ARGV[3]))
return now
