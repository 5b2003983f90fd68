#!lua
-- Takes back a boost of a user's budget. It is remembered for a while, so that a late repetition does not bring it back.
--
-- KEYS[1]  the usage stream
-- KEYS[2]  the boosts
-- ARGV[1]  its field
-- ARGV[2]  who takes it back, as JSON
-- ARGV[3]  for how many milliseconds it is remembered, but not beyond its end
--
-- Returns 1; 0 if there is none, or none any more.
--
-- @include whole
-- @include now
-- @include usage-event
-- @include budget-grants

local now = store_time()
local field, memory = ARGV[1], whole(ARGV[3])
if not memory then error('how long it is remembered is not a whole number', 0) end

local grants = read_grants(KEYS[2])
local known = remembered(field, redis.call('HGET', KEYS[2], field), now)
if not known or known.json == '' then return 0 end

local grant = cjson.decode(known.json)
local event = adjusted(grant, grant.id .. ':revoked', '-' .. grant.tokens, ARGV[2], known.at, text(now))
redis.call('XADD', KEYS[1], '*', 'e', event)
write_grant(grants, field, { ends = math.min(known.ends, now + memory), at = known.at, json = '' }, now)
return 1
