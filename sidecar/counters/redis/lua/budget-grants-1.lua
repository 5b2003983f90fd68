#!lua
-- Tells the boosts of budgets that count now, of all tenants, if they are others than the caller knows.
--
-- KEYS[1]  the boosts
-- ARGV[1]  the version that the caller knows; may be empty
--
-- Returns nothing if that is how they are. Else their version, then of each what its field holds, as below, with the JSON of
-- grant-budget-2.lua. The version says when the first of them expires, so that a reader learns of that too.
--
-- @include whole
-- @include now
-- @include usage-event
-- @include budget-grants

local now = store_time()
local grants = read_grants(KEYS[1])
local version, first = string.match(ARGV[1], '^(.*):(%d+)$')
if version == grants.version and now < (whole(first) or 0) then return false end

local live, next_end = { '' }, MAX_AMOUNT
each_grant(KEYS[1], now, function(ends, stored)
  local taken_back = string.sub(stored, -1) == ':'
  if taken_back then return end
  next_end = math.min(next_end, ends)
  live[#live + 1] = stored
end)
live[1] = grants.version .. ':' .. text(next_end)
return live
