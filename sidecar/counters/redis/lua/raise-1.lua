#!lua
-- Raises what is in use of a limit to what its provider counts: others than we may draw on it. Never lowers it, for the provider does
-- not know yet of what is under way.
--
-- KEYS[1]  the counters of the limit's subject
-- ARGV[1]  the limit, as the plan of `take` has it
-- ARGV[2]  how much of it is left by the provider's word
--
-- Returns {time, what is in use now}; {time} alone where the time is in none of the periods that the bounds tell.
--
-- @include whole
-- @include now
-- @include mul-div
-- @include token-bucket
-- @include calendar-window
-- @include kinds
-- @include counters
-- @include gates
-- @include limit
-- @include look

local now = store_time()
local remaining = whole(ARGV[2])
if not remaining then error('what is left is not a whole number', 0) end
local known, view = pcall(look, cjson.decode(ARGV[1]), function() return KEYS[1] end, now)
if not known and view == STALE then return { text(now) } end
if not known then error(view, 0) end
local limit, state = view.limit, view.state
local missing = math.max(0, view.capacity - remaining) - state.used
if missing > 0 then
  state = charge(state, missing)
  write_counter(limit.key, limit.field, state, forgotten_at(limit, reset_at(state, limit, now), now))
  flush_counters(now)
end
return { text(now), text(state.used) }
