#!lua
-- Raises what is in use of a limit to what its provider counts: others than we may draw on it. Never lowers it, for the provider does
-- not know yet of what is under way.
--
-- KEYS[1]  the counters of the limit's subject
-- ARGV[1]  a plan with the limit alone, as `take` is sent it
-- ARGV[2]  how much of it is left by the provider's word
-- ARGV[3]  what is the limit's own
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
-- @include sent-plan
-- @include limit
-- @include look

local now = store_time()
local remaining = whole(ARGV[2])
if not remaining then error('what is left is not a whole number', 0) end
local limits = limits_of(plan_of(sent_plan(ARGV[1])), ARGV[3], 0)
local known, problem = pcall(look, limits[1], limits, now)
if not known and problem == STALE then return { text(now) } end
if not known then error(problem, 0) end
local limit, rule, state = limits[1], limits[1].rule, limits[1].state
local missing = math.max(0, limit.capacity - remaining) - state.used
if missing > 0 then
  state = charge(state, missing)
  write_counter(KEYS[1], limit.field, state, forgotten_at(rule, reset_at(state, rule, now), now))
  flush_counters(now)
end
return { text(now), text(state.used) }
