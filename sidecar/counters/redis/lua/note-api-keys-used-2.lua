#!lua
-- Notes when API keys were last used; of two instants the later one holds. What is not kept is passed over.
--
-- KEYS[1]  the API keys
-- KEYS[2]  when they were last used
-- ARGV…    two for each use: the key's id, when in epoch milliseconds
--
-- Returns how many were noted.
--
-- @include whole

local later = {}
for i = 1, #ARGV, 2 do
  local id, at = ARGV[i], whole(ARGV[i + 1])
  if not at then error('when an API key was used is not a whole number', 0) end
  local kept, before = redis.pcall('HEXISTS', KEYS[1], id), redis.pcall('HGET', KEYS[2], id)
  if type(kept) == 'table' then error(kept.err, 0) end
  if type(before) == 'table' then error(before.err, 0) end
  if kept == 1 and at > (whole(before) or -1) then later[#later + 1] = { id = id, at = at } end
end

for _, use in ipairs(later) do redis.call('HSET', KEYS[2], use.id, text(use.at)) end
return #later
