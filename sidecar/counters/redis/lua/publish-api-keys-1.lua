#!lua
-- Puts API keys of the ledger where there are none or older states of them.
--
-- KEYS[1]  the API keys
-- KEYS…    the gates of those that are revoked, to be closed for good; every key has the same hash tag
-- ARGV[1]  1 if these are the last ones of the partition, else 0
-- ARGV[2]… three for each key: its id, its revision, its JSON
--
-- Returns how many were put there.
--
-- @include whole
-- @include api-keys

local newer = {}
for _, given in ipairs(given_keys(2)) do
  if given.revision > kept_revision(KEYS[1], given.id) then newer[#newer + 1] = given end
end
local marked = redis.pcall('HEXISTS', KEYS[1], PUBLISHED)
if type(marked) == 'table' then error(marked.err, 0) end

for _, given in ipairs(newer) do keep_key(KEYS[1], given) end
close_gates(2)
if ARGV[1] == '1' then redis.call('HSET', KEYS[1], PUBLISHED, '1') end
return #newer
