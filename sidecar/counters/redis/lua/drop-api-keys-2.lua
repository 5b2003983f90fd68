#!lua
-- Drops API keys that are revoked or expired for some time, of those that one step over all of them comes by.
--
-- KEYS[1]  the API keys
-- KEYS[2]  when they were last used
-- ARGV[1]  where the step begins: 0, or what the last step returned
-- ARGV[2]  how many it looks at, about
-- ARGV[3]  for how many milliseconds they are kept when they are over
--
-- Returns where the next step begins; 0: this was the last one.
--
-- @include whole
-- @include now
-- @include api-keys

local now, memory = store_time(), whole(ARGV[3])
if not memory then error('how long they are kept is not a whole number', 0) end

-- Since when it is over. Raises an error where this is not a key that this script can read: it stays.
local function over_since(stored)
  local key = cjson.decode(string.match(stored, '^%d+:(.*)$'))
  if key.v ~= 1 then error('another version', 0) end
  return math.min(key.revoked_at or MAX_AMOUNT, key.expires_at or MAX_AMOUNT)
end

local next_step, found = scan_keys(KEYS[1], ARGV[1], ARGV[2])
local uses = redis.pcall('HLEN', KEYS[2])
if type(uses) == 'table' then error(uses.err, 0) end

for i = 1, #found, 2 do
  local read, since = pcall(over_since, found[i + 1])
  if read and now - since >= memory then
    redis.call('HDEL', KEYS[1], found[i])
    redis.call('HDEL', KEYS[2], found[i])
  end
end
return next_step
